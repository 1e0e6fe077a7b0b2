/** Receipts from the recipient's host to the sender's, with real processes that are killed in between (02 §10). */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { OutboxDetail, SendResponse } from '@claudemesh/protocol'
import BetterSqlite3 from 'better-sqlite3'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { EventLog } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { TestMember, TestMesh } from '../support/mesh.ts'

const dayMs = 86_400_000
const names = ['alice', 'bob', 'carol', 'dave']

describe('receipts', { timeout: 120_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember
  let carol: TestMember
  let dave: TestMember
  let events: EventLog
  const ids = new Map<string, string>()
  const counts = { delivered: 0, read: 0, undeliverable: 0, kills: 0 }
  const joined: TestMember[] = []

  beforeAll(async () => {
    mesh = await TestMesh.start(names)
    alice = mesh.member('alice')
    bob = mesh.member('bob')
    carol = mesh.member('carol')
    dave = mesh.member('dave')
    for (const member of mesh.members) ids.set(member.name, await memberIdOf(member))
    events = new EventLog(alice, 'receipt')
  }, 60_000)

  // However a test went on: what the row proves, the events have told, each once.
  afterEach(async () => {
    await events.follow(async () => {
      const { rows } = (await alice.request({ method: 'GET', path: '/v1/outbox?limit=200' })).json as {
        rows: { id: string; client_message_id: string }[]
      }
      const proven: string[] = []
      for (const { id, client_message_id: key } of rows) {
        for (const { recipient, state } of (await outboxOf(alice, id)).receipts) {
          proven.push(`${key} ${recipient} ${state}`)
        }
      }
      await eventually('the events tell as much', () => events.seen.length >= proven.length)
      const told = events.seen.map((data) => `${data.client_message_id} ${data.recipient} ${data.state}`)
      expect(told.sort()).toEqual(proven.sort())
    })
  }, 60_000)

  afterAll(async () => {
    for (const member of joined) await member.kill()
    await mesh.end()
    for (const { state } of events.seen) counts[state as keyof typeof counts] += 1
    console.log('receipts told, each once, and processes killed on their way:', JSON.stringify(counts))
  })

  /** The receipts of one of alice's sends, as `name state reason`, in order. */
  async function proven(key: string): Promise<string[]> {
    const nameOf = new Map([...ids].map(([name, id]) => [id, name]))
    const { receipts } = await outboxOf(alice, key)
    return receipts.map(({ recipient, state, reason }) =>
      [nameOf.get(recipient), state, ...(reason === undefined ? [] : [reason])].join(' '),
    )
  }

  async function provenBecomes(key: string, expected: readonly string[]): Promise<void> {
    await eventually(`${key} is ${expected.join(', ')}`, async () => {
      const found = await proven(key)
      if (found.length < expected.length) return false
      expect(found).toEqual(expected)
      return true
    })
  }

  async function sendAndDeliver(body: Readonly<Record<string, unknown>>): Promise<string> {
    const answer = await alice.send(body, '?wait=20000&until=delivered')
    expect(answer.json).toMatchObject({ state: 'delivered' })
    return (answer.json as SendResponse).broker_message_id ?? ''
  }

  test('a dm is delivered, and read once its reader has marked it and not before', async () => {
    const id = await sendAndDeliver({ to: '@bob', message: 'read me', client_message_id: 'dm' })
    expect(await proven('dm')).toEqual(['bob delivered'])
    const waiting = alice.send({ to: '@bob', message: 'read me', client_message_id: 'dm' }, '?wait=20000&until=read')
    const before = Date.now()
    await mark(bob, [id])
    expect((await waiting).json).toMatchObject({
      state: 'read',
      duplicate: true,
      receipts: [
        { recipient: ids.get('bob'), state: 'delivered' },
        { recipient: ids.get('bob'), state: 'read', at: expect.any(Number) },
      ],
    })
    const { row, receipts } = await outboxOf(alice, 'dm')
    expect(row).toMatchObject({ state: 'read', receipts: true, recipient_count: 1 })
    const [, read] = receipts
    expect(read?.at).toBeGreaterThanOrEqual(before)
    expect(read?.at).toBeLessThanOrEqual(Date.now())
  })

  test('what was read stays so when it is marked unread, and read again is not told again', async () => {
    const { row } = await outboxOf(alice, 'dm')
    const id = row.broker_message_id ?? ''
    for (const read of [false, true, false, true]) await mark(bob, [id], read)
    // What is reported later has arrived, so what would have been reported before it has, too.
    const later = await sendAndDeliver({ to: '@bob', message: 'later', client_message_id: 'dm-later' })
    await mark(bob, [later])
    await provenBecomes('dm-later', ['bob delivered', 'bob read'])
    expect(await proven('dm')).toEqual(['bob delivered', 'bob read'])
  })

  test('send --wait read ends when it is read, outbox show says of whom, and a wait in vain says so', async () => {
    const args = ['send', '--to', '@bob', 'please read', '--id', 'by-cli', '--wait', 'read', '--timeout', '30']
    const sending = new ManagedProcess(args, { CLAUDEMESH_HOME: alice.home })
    const seen = await eventually('bob sees it', async () => {
      if (sending.ending !== null) throw new Error(`it ended before it was read: ${sending.output}`)
      return (await bob.inbox()).find(({ client_message_id: key }) => key === 'by-cli')
    })
    await mark(bob, [seen.id])
    expect(await sending.ended, sending.output).toEqual({ code: 0, signal: null })
    expect(sending.output).toMatch(/^read {2}message /)
    const shown = alice.cli(['daemon', 'outbox', 'show', 'by-cli'])
    expect(shown).toMatch(/^receipts +1 delivered, 1 read$/m)
    expect(shown).toMatch(/^bob +read /m)
    const inVain = alice.run(['send', '--to', '@bob', 'unread', '--wait', 'read', '--timeout', '1', '--id', 'in-vain'])
    expect(inVain).toMatchObject({ status: 75, stderr: expect.stringContaining('read was not reached in time') })
  })

  test('receipts: false is told nothing of, though it is delivered and read', async () => {
    const body = { to: '@bob', message: 'quiet', client_message_id: 'quiet', receipts: false }
    const sent = await alice.send(body, '?wait=20000&until=read')
    expect(sent.json).toMatchObject({ state: 'accepted' })
    const seen = await eventually('bob sees it', async () =>
      (await bob.inbox()).find(({ client_message_id: key }) => key === 'quiet'),
    )
    await mark(bob, [seen.id])
    const later = await sendAndDeliver({ to: '@bob', message: 'loud', client_message_id: 'loud' })
    await mark(bob, [later])
    await provenBecomes('loud', ['bob delivered', 'bob read'])
    expect(await outboxOf(alice, 'quiet')).toMatchObject({ receipts: [], row: { state: 'accepted', receipts: false } })
    expect(alice.cli(['daemon', 'outbox', 'show', 'quiet'])).toMatch(/^receipts +none asked for$/m)
  })

  test('of a topic are one of each recipient, and it is read when all of them have read it', async () => {
    for (const member of [alice, bob, carol, dave]) member.cli(['topic', 'subscribe', 'news'])
    const id = await sendAndDeliver({ to: '#news', message: 'to all', client_message_id: 'post' })
    const delivered = inOrder('delivered', ['bob', 'carol', 'dave'])
    await provenBecomes('post', delivered)
    await mark(carol, [id])
    await provenBecomes('post', inOrder('delivered', ['bob', 'carol', 'dave'], ['carol']))
    expect((await outboxOf(alice, 'post')).row.state).toBe('delivered')
    // One who unsubscribes reads it all the same.
    dave.cli(['topic', 'unsubscribe', 'news'])
    await mark(dave, [id])
    await mark(bob, [id])
    await provenBecomes('post', inOrder('delivered', ['bob', 'carol', 'dave'], ['bob', 'carol', 'dave']))
    expect((await outboxOf(alice, 'post')).row.state).toBe('read')
    expect(alice.cli(['daemon', 'outbox', 'show', 'post'])).toMatch(/^receipts +3 delivered, 3 read$/m)
  })

  test('of a sender that is away wait for it', async () => {
    const id = await sendAndDeliver({ to: '@carol', message: 'bye', client_message_id: 'sender-away' })
    await kill(alice)
    await mark(carol, [id])
    await eventually('carol has nothing left to report', () => readReportsWaiting(carol) === 0)
    await alice.start()
    await provenBecomes('sender-away', ['carol delivered', 'carol read'])
  })

  test('of a reader without a broker are made when it is back', async () => {
    const keys = Array.from({ length: 100 }, (_, n) => `reader-away-${n}`)
    for (const key of keys) await alice.send({ to: '@carol', message: key, client_message_id: key })
    await alice.drained()
    const found = await eventually('carol has them', async () => {
      const messages = await carol.inbox()
      const those = messages.filter(({ client_message_id: key }) => keys.includes(key))
      return those.length === keys.length ? those : null
    })
    await kill(mesh.broker)
    for (const { id } of found) await mark(carol, [id])
    expect(readReportsWaiting(carol)).toBe(keys.length)
    await mesh.broker.start()
    for (const key of keys) await provenBecomes(key, ['carol delivered', 'carol read'])
    await eventually('carol has nothing left to report', () => readReportsWaiting(carol) === 0)
  })

  const killedAt = [
    { victim: 'bob', at: 'daemon.mark.before-commit', marked: false },
    { victim: 'bob', at: 'daemon.mark.after-commit', marked: true },
    { victim: 'broker', at: 'broker.read.before-commit', marked: true },
    { victim: 'broker', at: 'broker.read.after-commit', marked: true },
    { victim: 'bob', at: 'daemon.read.before-settle', marked: true },
  ] as const
  for (const { victim, at, marked } of killedAt) {
    test(`${victim} killed at ${at}: it is read if and only if the mark was kept, and told once`, async () => {
      const target = victim === 'bob' ? bob : mesh.broker
      const id = await sendAndDeliver({ to: '@bob', message: at, client_message_id: at })
      await target.start({ crashAt: at })
      await bob.knows(names)
      // The answer to the mark may die with the daemon.
      await mark(bob, [id]).catch(() => false)
      expect(await target.running.ended).toMatchObject({ signal: 'SIGKILL' })
      counts.kills += 1
      await target.start()
      const row = (await bob.inbox()).find((message) => message.id === id)
      expect(row?.read_at !== null).toBe(marked)
      if (!marked) {
        expect(readReportsWaiting(bob)).toBe(0)
        expect(await proven(at)).toEqual(['bob delivered'])
        await mark(bob, [id])
      }
      await provenBecomes(at, ['bob delivered', 'bob read'])
      await eventually('bob has nothing left to report', () => readReportsWaiting(bob) === 0)
    })
  }

  test('of a message that the recipient cannot open is undeliverable, and marking it read proves nothing', async () => {
    await kill(dave)
    const sent = { to: '@dave', message: 'to a key that is gone', client_message_id: 'undecryptable' }
    await alice.send(sent, '?wait=20000&until=accepted')
    await kill(mesh.broker)
    await dave.start()
    dave.cli(['daemon', 'rotate-keypair'])
    await kill(dave)
    rmSync(dave.paths.keypairArchive)
    await dave.start()
    await mesh.broker.start()
    await provenBecomes('undecryptable', ['dave undeliverable undecryptable'])
    expect((await outboxOf(alice, 'undecryptable')).row.state).toBe('undeliverable')
    const kept = (await dave.inbox()).find(({ client_message_id: key }) => key === 'undecryptable')
    expect(kept?.opened).toBe(false)
    await mark(dave, [kept?.id ?? ''])
    const id = await sendAndDeliver({ to: '@dave', message: 'again', client_message_id: 'sealed-anew' })
    await mark(dave, [id])
    await provenBecomes('sealed-anew', ['dave delivered', 'dave read'])
    expect(await proven('undecryptable')).toEqual(['dave undeliverable undecryptable'])
  })

  test('of a message that grew too old before it was fetched is undeliverable: expired', async () => {
    await kill(dave)
    const sent = { to: '@dave', message: 'too late', client_message_id: 'expired' }
    await alice.send(sent, '?wait=20000&until=accepted')
    // Something newer, so that it is plain that two days have gone by.
    await sendAndDeliver({ to: '@bob', message: 'newer' })
    await kill(mesh.broker)
    makeOld(mesh.broker.data)
    await mesh.broker.start({
      env: { CLAUDEMESH_BROKER_MESSAGE_RETENTION_DAYS: '1', CLAUDEMESH_BROKER_JOB_INTERVAL_MS: '50' },
    })
    await provenBecomes('expired', ['dave undeliverable expired'])
    await mesh.broker.start()
  })

  test('of a recipient that left before it was fetched is undeliverable: left', async () => {
    const eve = new TestMember('eve', join(mesh.directory, 'eve'))
    joined.push(eve)
    const { token } = JSON.parse(alice.cli(['invite', 'create', '--json'])) as { token: string }
    eve.cli(['join', '-', '--name', 'eve', '--ephemeral', '--ttl', '10s'], token)
    await eve.start()
    ids.set('eve', await memberIdOf(eve))
    await alice.knows(['eve'])
    await kill(eve)
    const sent = { to: '@eve', message: 'are you there', client_message_id: 'left' }
    await alice.send(sent, '?wait=20000&until=accepted')
    await provenBecomes('left', ['eve undeliverable left'])
  })

  test('of a recipient that was revoked before it was fetched is undeliverable: revoked', async () => {
    const sent = { to: '@dave', message: 'not for you any more', client_message_id: 'revoked' }
    await alice.send(sent, '?wait=20000&until=accepted')
    alice.cli(['member', 'revoke', 'dave'])
    await provenBecomes('revoked', ['dave undeliverable revoked'])
    const shown = alice.cli(['daemon', 'outbox', 'show', 'revoked'])
    expect(shown).toMatch(/^receipts +1 undeliverable$/m)
    expect(shown).toMatch(/undeliverable .* revoked$/m)
  })

  /** `bob delivered` and so on, sorted as the interface sorts them: by member id, then by state. */
  function inOrder(state: string, all: readonly string[], read: readonly string[] = []): string[] {
    return [...all]
      .sort((left, right) => ((ids.get(left) ?? '') < (ids.get(right) ?? '') ? -1 : 1))
      .flatMap((name) => [`${name} ${state}`, ...(read.includes(name) ? [`${name} read`] : [])])
  }

  async function kill(target: TestMember | TestMesh['broker']): Promise<void> {
    await target.kill()
    counts.kills += 1
  }
})

/** What a member has marked and the broker has not confirmed, as it stands on the disk. */
function readReportsWaiting(member: TestMember): number {
  const db = new BetterSqlite3(member.paths.inboxDatabase, { readonly: true })
  const count = db.prepare<[], number>('SELECT count(*) FROM read_report WHERE answered = 0').pluck().get() ?? 0
  db.close()
  return count
}

/** Puts the acceptance of everything but the newest two days back: the history is in order of acceptance, and expires in that order. */
function makeOld(data: string): void {
  const db = new BetterSqlite3(join(data, 'broker.db'))
  db.prepare(
    'UPDATE topic_message SET accepted_at = accepted_at - ? WHERE id <> (SELECT max(id) FROM topic_message)',
  ).run(2 * dayMs)
  db.close()
}

async function memberIdOf(member: TestMember): Promise<string> {
  return (await member.health())?.member_id ?? ''
}

async function outboxOf(member: TestMember, key: string): Promise<OutboxDetail> {
  return (await member.request({ method: 'GET', path: `/v1/outbox/${key}` })).json as OutboxDetail
}

async function mark(member: TestMember, messageIds: readonly string[], read = true): Promise<boolean> {
  const answer = await member.request({ method: 'POST', path: '/v1/inbox/mark', body: { ids: messageIds, read } })
  expect(answer.status).toBe(200)
  return true
}
