/** The trace that a message belongs to: from the header of its send to its reader, and to nobody between them. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Message } from '@claudemesh/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EventLog } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { meshSlug, TestMesh } from '../support/mesh.ts'
import { filesIn, findAll, formsOf } from '../support/plaintext-search.ts'

const traceIdOf = (n: number) => `${n}`.padStart(32, 'abcdef0123456789')
const parentOf = (n: number) => `00-${traceIdOf(n)}-00f067aa0ba902b7-01`
const accepted = '?wait=30000&until=accepted'

let mesh: TestMesh
beforeAll(async () => {
  mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
  await mesh.member('alice').start({ env: { CLAUDEMESH_LOG_LEVEL: 'debug' } })
  await mesh.member('bob').start()
  for (const member of mesh.members) await member.knows(['alice', 'bob'])
}, 120_000)
afterAll(() => mesh.end())

test('a trace goes from the sender to the reader, and neither the broker nor what lies on its way sees it', async () => {
  const [alice, bob] = [mesh.member('alice'), mesh.member('bob')]
  bob.cli(['topic', 'subscribe', 'news', '--mesh', meshSlug])
  const post = async (path: string, headers: Readonly<Record<string, string>>, body: unknown) => {
    const answer = await alice.request({ method: 'POST', path, headers, body })
    expect(answer.status, answer.text).toBeLessThan(300)
  }
  const traced = { traceparent: parentOf(1), tracestate: 'vendor=one' }
  await post(`/v1/send${accepted}`, traced, { to: '@bob', message: 'direct', meta: { build: 7 } })
  await eventually('the topic is known', async () => {
    const answer = await alice.request({ method: 'GET', path: '/v1/topic/list' })
    return answer.text.includes('"news"')
  })
  await post(`/v1/topic/post${accepted}`, { traceparent: parentOf(2) }, { topic: 'news', message: 'posted' })
  const items = ['first', 'second'].map((message) => ({ to: '@bob', message }))
  await post('/v1/send/batch', { traceparent: parentOf(3) }, items)
  await post(
    `/v1/send${accepted}`,
    { traceparent: '00-nonsense', tracestate: 'vendor=one' },
    { to: 'bob', message: 'odd' },
  )
  const environment = { TRACEPARENT: parentOf(4), TRACESTATE: 'vendor=two' }
  const ran = alice.run(['send', '--mesh', meshSlug, '--to', '@bob', 'from a shell'], '', environment)
  expect(ran.status, ran.stderr).toBe(0)
  const broken = alice.run(['send', '--mesh', meshSlug, '--to', '@bob', 'from a bad one'], '', {
    TRACEPARENT: 'no\ntrace',
  })
  expect(broken.status, broken.stderr).toBe(0)

  const seen = new Map((await bob.inboxOf(7)).map((message) => [message.message, message]))
  const traceOf = (text: string) => {
    const message = seen.get(text)
    return message === undefined ? 'it did not come' : [message.traceparent, message.tracestate]
  }
  expect(traceOf('direct')).toEqual([parentOf(1), 'vendor=one'])
  expect(seen.get('direct')?.meta).toEqual({ build: 7 })
  expect(traceOf('posted')).toEqual([parentOf(2), null])
  expect([traceOf('first'), traceOf('second')]).toEqual(Array(2).fill([parentOf(3), null]))
  expect(traceOf('odd')).toEqual([null, null])
  expect(traceOf('from a shell')).toEqual([parentOf(4), 'vendor=two'])
  expect(traceOf('from a bad one')).toEqual([null, null])

  const events = new EventLog(bob, 'message')
  await events.follow(async () => void (await eventually('the events were read', () => events.seen.length >= 7)))
  expect(events.seen.filter(({ traceparent }) => traceparent === parentOf(3))).toHaveLength(2)

  const sent = seen.get('direct') as Message
  const thread = JSON.parse(alice.cli(['inbox', 'thread', sent.id, '--mesh', meshSlug, '--json'])) as {
    messages: Message[]
  }
  expect(thread.messages[0]).toMatchObject({ direction: 'sent', traceparent: parentOf(1), tracestate: 'vendor=one' })

  for (const n of [1, 2, 3, 4]) {
    const line = `"event":"send_accepted"`
    const lines = alice.running.output.split('\n').filter((each) => each.includes(traceIdOf(n)) && each.includes(line))
    expect(lines, `the log names trace ${n}`).toHaveLength(n === 3 ? 2 : 1)
  }

  const needles = [1, 2, 3, 4].flatMap((n) => formsOf(traceIdOf(n)))
  const wire = { name: 'output of the broker', bytes: Buffer.from(mesh.broker.running.output) }
  expect(findAll(needles, [...filesIn(mesh.broker.data), wire])).toEqual([])
  // The search finds what is there.
  expect(findAll(needles, filesIn(bob.home)).length).toBeGreaterThan(0)
})

test('a worker runs its command under the trace of the message, and not under its own', async () => {
  const [alice, bob] = [mesh.member('alice'), mesh.member('bob')]
  const path = join(bob.home, 'traces')
  const script = `echo "$(cat) \${TRACEPARENT-none} \${TRACESTATE-none}" >> "$CLAUDEMESH_HOME/traces"`
  const env = { CLAUDEMESH_HOME: bob.home, TRACEPARENT: parentOf(9) }
  const worker = new ManagedProcess(['queue', 'consume', 'jobs', '--mesh', meshSlug, '--', 'sh', '-c', script], env)
  try {
    const send = (message: string, headers: Readonly<Record<string, string>>) =>
      alice.request({ method: 'POST', path: '/v1/send', headers, body: { to: 'queue:jobs', message } })
    await send('traced', { traceparent: parentOf(5), tracestate: 'vendor=five' })
    await send('untraced', {})
    const lines = await eventually('both jobs are done', () => {
      const done = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
      return done.length === 2 ? done.toSorted() : null
    })
    expect(lines).toEqual([`traced ${parentOf(5)} vendor=five`, 'untraced none none'])
  } finally {
    await worker.kill()
  }
})
