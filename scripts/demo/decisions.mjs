// Two members decide at the same time, one of them is killed meanwhile, and both end with the same log.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { alice, bob, claudemesh, daemonPid, get, kill, request, say, shown, until } from './members.mjs'

const space = 'plans'
const decisionsEach = 12
/** After so many of both together one is killed. */
const killedAfter = 8

/** Both share a space and decide; throws when their logs are not the same in the end. */
export async function decideTogether() {
  for (const one of [alice, bob]) shown(one, ['decision', 'create', space, '--shared'])
  shown(alice, ['decision', 'append', space, 'state', 'database', 'sqlite'])
  await until('bob follows', async () => (await head(bob)) === 1)
  let decided = 0
  const all = Promise.all([alice, bob].map((one) => decideAll(one, () => (decided += 1))))
  await until('both are at it', () => decided >= killedAfter)
  const pid = daemonPid(bob)
  if (pid !== null && kill(pid)) say('  SIGKILL bob')
  claudemesh(bob, ['daemon', 'start'])
  await all
  const count = 1 + 2 * decisionsEach
  await until('both have everything', async () => (await head(alice)) === count && (await head(bob)) === count, 90_000)
  const [ours, theirs] = [alice, bob].map((one) => claudemesh(one, ['decision', 'export', space]))
  if (ours !== theirs) throw new Error('their logs are different')
  shown(bob, ['decision', 'why', space, 'database'])
  const log = [
    '--git-dir',
    join(bob.directory, 'spaces/decisions.git'),
    'log',
    '--format=%h %an %s',
    '-4',
    `spaces/${space}`,
  ]
  say(`$ git log -4 spaces/${space}`)
  say(execFileSync('git', log, { encoding: 'utf8' }).trimEnd())
  say(
    `${count} decisions of both, ${decided} of them asked for until acknowledged: one line, the same at both, byte for byte.`,
  )
}

async function decideAll(one, count) {
  for (let i = 1; i <= decisionsEach; i += 1) {
    const decisions = [{ kind: 'state', payload: { key: `${one.name}-${i}`, value: i } }]
    await decideUntilAcknowledged(one, decisions, `${one.name}-${i}`)
    count()
  }
}

/** The key makes it one decision, however often it is asked for. */
async function decideUntilAcknowledged(one, decisions, key) {
  for (;;) {
    try {
      const path = `/v1/spaces/${space}/events`
      const { status, json } = await request(one, 'POST', path, { decisions }, { 'idempotency-key': key })
      if (status < 300) return
      if (json.retryable !== true) throw Object.assign(new Error(JSON.stringify(json)), { final: true })
    } catch (error) {
      if (error.final) throw error
    }
    await pause(50)
  }
}

async function head(one) {
  return (await get(one, `/v1/spaces/${space}`))?.seq
}
