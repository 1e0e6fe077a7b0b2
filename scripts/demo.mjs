// `npm run demo`: the main job on this machine, in a temporary home, with real processes.
//
// Two members' daemons and an embedded broker; one message sent with curl and read at the other side; the files of this
// checkout as a package, shared with the other member and written out there, verified; decisions of both in one order, also
// when one is killed; then the point of the product: messages flow both ways while broker and daemons are killed with SIGKILL
// and some sends are repeated with the same key; and their history as Parquet, exported once. It ends with what was acknowledged, delivered, doubled and lost, and exits 1 unless the last two are 0.
//
//   --short   a third of the kills, for CI
//   --seed N  the same kills and messages again
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { listCheckout } from './checkout.mjs'
import { decideTogether } from './demo/decisions.mjs'
import { exportHistory } from './demo/export.mjs'
import {
  alice,
  bob,
  brokerPid,
  chapter,
  claudemesh,
  curl,
  daemonPid,
  get,
  kill,
  place,
  request,
  say,
  sees,
  shown,
  until,
} from './demo/members.mjs'
import { build, install, root } from './prepare.mjs'

const short = process.argv.includes('--short')
const seed = process.argv.includes('--seed')
  ? Number(process.argv[process.argv.indexOf('--seed') + 1])
  : Date.now() % 1e6
/** Processes killed, and how long a sender pauses between two messages. */
const plan = { kills: short ? 4 : 12, pauseMs: 10 }
/** Requests that one member has open at a time. */
const sendersPerMember = 8
/** One send in this many is made twice with the same key. */
const repeatEvery = 10

const random = mulberry32(seed)
const started = performance.now()

install()
build()
await main()

async function main() {
  chapter('Two members, one broker')
  shown(alice, ['init', '--mesh', 'demo', '--name', 'alice'])
  shown(alice, ['daemon', 'start'])
  const { token } = JSON.parse(claudemesh(alice, ['invite', 'create', '--json']))
  say('$ claudemesh invite create | claudemesh join - --name bob --persistent')
  claudemesh(bob, ['join', '-', '--name', 'bob', '--persistent'], token)
  shown(bob, ['daemon', 'start'])
  await until('both members see each other', async () => (await sees(alice, 'bob')) && (await sees(bob, 'alice')))

  chapter('One message, with nothing but curl')
  const send = ['--unix-socket', alice.socket, 'http://localhost/v1/send', '-H', 'content-type: application/json']
  const text = '{"to":"@bob","message":"build is green"}'
  say(
    `$ curl --unix-socket ${alice.socket} http://localhost/v1/send \\\n       -H 'content-type: application/json' -d '${text}'`,
  )
  say(curl([...send, '-d', text]))
  await until('the message is in the other inbox', async () => (await get(bob, '/v1/inbox'))?.messages.length === 1)
  shown(bob, ['inbox'])

  chapter('The files of this checkout, as a package, to the other member')
  const copy = join(place, 'checkout')
  const files = listCheckout()
  say('$ git ls-files -z | claudemesh artifact push . --files-from - --finalize')
  const push = ['artifact', 'push', root, '--files-from', '-', '--name', 'claudemesh', '--finalize', '--json']
  const pushed = JSON.parse(claudemesh(alice, push, files.join('\0')))
  say(`${pushed.package_id}: ${pushed.files} files, ${pushed.bytes} bytes, finalized by ${pushed.manifest_digest}`)
  shown(alice, ['artifact', 'verify', pushed.package_id])
  shown(alice, ['artifact', 'share', pushed.package_id, '--to', '@bob', '--name', 'claudemesh'])
  await until('it is offered to bob', () => received(bob) !== undefined, 300_000)
  shown(bob, ['artifact', 'pull', received(bob).share_id, copy])
  const different = files.filter((path) => !readFileSync(join(root, path)).equals(readFileSync(join(copy, path))))
  if (different.length > 0) throw new Error(`came out as others: ${different.join(', ')}`)
  say(`${files.length} files are at bob's what they are here, byte for byte; the broker saw ciphertext.`)

  chapter('Decisions of both, in one order')
  await decideTogether()

  chapter(`Messages both ways while everything is killed (seed ${seed})`)
  const sent = new Map()
  const stop = new AbortController()
  const traffic = Promise.all([
    pour(alice, bob, { sent, signal: stop.signal }),
    pour(bob, alice, { sent, signal: stop.signal }),
  ])
  const killed = await killAround()
  stop.abort()
  await traffic
  say(`${sent.size} sends acknowledged; killed ${count(killed)}. Waiting until everything has arrived ...`)
  await bringBack()
  await until('both outboxes are empty', async () => (await isDrained(alice)) && (await isDrained(bob)), 60_000)

  chapter('The history, exported once')
  await exportHistory()

  chapter('The balance')
  process.exitCode = balance(sent, [await readInbox(alice), await readInbox(bob)].flat()) ? 0 : 1
}

/** The share that was offered to a member. */
function received(one) {
  return JSON.parse(claudemesh(one, ['artifact', 'shares', '--direction', 'received', '--json'])).shares[0]
}

/** Sends until it is told to stop, each message until it is acknowledged, some of them twice. */
async function pour(from, to, { sent, signal }) {
  let next = 0
  await Promise.all(
    Array.from({ length: sendersPerMember }, async () => {
      while (!signal.aborted) {
        next += 1
        const number = next
        const key = `${from.name}-${number}`
        const twice = number % repeatEvery === 0
        const body = { to: `@${to.name}`, message: `message ${number} of ${from.name}`, client_message_id: key }
        const first = await sendUntilAcknowledged(from, body)
        const second = twice ? await sendUntilAcknowledged(from, body) : first
        if (second.outbox_id !== first.outbox_id) throw new Error(`${key} was stored twice`)
        sent.set(key, { twice })
        await pause(plan.pauseMs)
      }
    }),
  )
}

/** Whatever goes wrong on the way, the same key makes it safe to ask again. */
async function sendUntilAcknowledged(from, body) {
  for (;;) {
    try {
      const { status, json } = await request(from, 'POST', '/v1/send', body)
      if (status === 200 || status === 202) return json
      if (json.retryable !== true) throw Object.assign(new Error(JSON.stringify(json)), { final: true })
    } catch (error) {
      if (error.final) throw error
    }
    await pause(50)
  }
}

/** Kills one of the three processes after another, at random moments, and starts the daemons again. */
async function killAround() {
  const killed = []
  while (killed.length < plan.kills) {
    await pause(300 + random() * 700)
    const victim = ['broker', 'alice', 'bob'][killed.length % 3]
    const pid = victim === 'broker' ? brokerPid() : daemonPid(victim === 'alice' ? alice : bob)
    if (pid === null || !kill(pid)) continue
    killed.push(victim)
    say(`  SIGKILL ${victim}`)
    if (victim !== 'broker') claudemesh(victim === 'alice' ? alice : bob, ['daemon', 'start'])
  }
  return killed
}

async function bringBack() {
  for (const one of [alice, bob]) claudemesh(one, ['daemon', 'start'])
}

function balance(sent, messages) {
  const arrivals = new Map()
  for (const { client_message_id: key } of messages) arrivals.set(key, (arrivals.get(key) ?? 0) + 1)
  const keys = [...sent.keys()]
  const lost = keys.filter((key) => !arrivals.has(key)).length
  const duplicates = keys.reduce((sum, key) => sum + Math.max(0, (arrivals.get(key) ?? 0) - 1), 0)
  const rows = [
    ['acknowledged', keys.length],
    ['of these sent twice with one key', [...sent.values()].filter(({ twice }) => twice).length],
    ['delivered', keys.length - lost],
    ['duplicates', duplicates],
    ['lost', lost],
  ]
  for (const [name, value] of rows) say(`${name.padEnd(36)}${String(value).padStart(8)}`)
  const good = keys.length > 0 && lost === 0 && duplicates === 0
  say(
    `\n${good ? 'Nothing lost, nothing twice' : 'NOT GOOD'}: ${((performance.now() - started) / 1000).toFixed(0)} s in all.`,
  )
  return good
}

async function readInbox(one) {
  const messages = []
  for (let after = null; ; ) {
    const page = await get(one, `/v1/inbox?order=oldest&limit=500${after === null ? '' : `&after=${after}`}`)
    messages.push(...page.messages)
    if (page.next === null) return messages
    after = page.next
  }
}

async function isDrained(one) {
  const outbox = (await get(one, '/v1/health'))?.outbox
  return outbox !== undefined && outbox.pending + outbox.inflight === 0
}

function count(names) {
  return [...new Set(names)].map((name) => `${name} ${names.filter((other) => other === name).length} times`).join(', ')
}

/** A small seeded generator, so that a run can be repeated. */
function mulberry32(start) {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
