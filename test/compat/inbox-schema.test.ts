/** Inboxes of earlier versions of the daemon, opened by this one. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Inbox } from '../../apps/daemon/src/inbox/inbox.ts'
import { closeDatabase, openDatabase } from '../../packages/storage/src/index.ts'
import { draftOf, messageIdOf } from '../support/inbox-drafts.ts'
import { ManualRuntime } from '../support/manual-runtime.ts'
import { scratchDirectory, writeMigrations } from '../support/scratch-directory.ts'

const schema = new URL('../../apps/daemon/src/inbox/schema/', import.meta.url)
const everything = { order: 'oldest', after: null, since: null, topic: null, sender: null, unread: false } as const

interface OldRow {
  readonly n: number
  readonly topic: string | null
  readonly receivedAt: number
  readonly readAt: number | null
}

/** An inbox as the first `version` migrations make it. */
function inboxAsOfSchema(version: number, rows: readonly OldRow[]): string {
  const directory = scratchDirectory()
  const files = readdirSync(schema).filter((name) => Number.parseInt(name, 10) <= version)
  const migrations = writeMigrations(
    directory,
    Object.fromEntries(files.map((name) => [name, readFileSync(new URL(name, schema), 'utf8')])),
  )
  const path = join(directory, 'inbox.db')
  const db = openDatabase({ path, migrations, now: () => 1 })
  db.exec(`INSERT INTO inbox_state (id, generation, refetch) VALUES (1, 'first', 'none')`)
  const insert = db.prepare(`
    INSERT INTO inbox (broker_message_id, client_message_id, sender, history_id, destination_kind, destination_ref, priority,
           origin, opened, body, accepted_at, received_at, read_at)
    VALUES (:id, :id, :sender, '1', :kind, :ref, 'next', 'delivery', 1, :body, :receivedAt, :receivedAt, :readAt)`)
  for (const { n, topic, receivedAt, readAt } of rows) {
    const { destination, sender } = draftOf({ n, ...(topic === null ? {} : { topic }) })
    const { kind, ref } = destination
    insert.run({ id: messageIdOf(n), sender, kind, ref, body: `message ${n}`, receivedAt, readAt })
  }
  closeDatabase(db)
  return path
}

test('what was marked read before there were reports is not reported', () => {
  const path = inboxAsOfSchema(2, [
    { n: 1, topic: null, receivedAt: 5, readAt: 6 },
    { n: 2, topic: null, receivedAt: 5, readAt: null },
  ])
  const { inbox } = Inbox.open({ path, runtime: new ManualRuntime() })
  expect(inbox.counts()).toEqual({ messages: 2, unread: 1 })
  inbox.mark([messageIdOf(1), messageIdOf(2)], true)
  expect(inbox.reads.waiting(10).map(({ brokerMessageId }) => brokerMessageId)).toEqual([messageIdOf(2)])
  inbox.close()
})

test('messages of before pages had their indexes are all found, also when the clock had stepped back among them', () => {
  const path = inboxAsOfSchema(3, [
    { n: 1, topic: 'ops', receivedAt: 100, readAt: null },
    { n: 2, topic: 'ops', receivedAt: 300, readAt: 301 },
    { n: 3, topic: null, receivedAt: 200, readAt: null },
    { n: 4, topic: 'ops', receivedAt: 250, readAt: null },
    { n: 5, topic: 'ops', receivedAt: 400, readAt: null },
  ])
  const { inbox } = Inbox.open({ path, runtime: new ManualRuntime() })
  const numbers = (filter: Partial<Parameters<Inbox['page']>[0]>) =>
    inbox
      .page({ ...everything, limit: 10, ...filter })
      .rows.map(({ brokerMessageId }) => Number(brokerMessageId.slice(4)))
  expect(numbers({})).toEqual([1, 2, 3, 4, 5])
  expect(numbers({ since: 250 })).toEqual([2, 4, 5])
  expect(numbers({ since: 250, order: 'newest' })).toEqual([5, 4, 2])
  expect(numbers({ since: 401 })).toEqual([])
  const { sender } = draftOf({ n: 1 })
  expect(numbers({ topic: 'ops' })).toEqual([1, 2, 4, 5])
  expect(numbers({ topic: 'ops', sender, since: 101 })).toEqual([2, 4, 5])
  expect(numbers({ sender, unread: true })).toEqual([1, 3, 4, 5])
  inbox.store([draftOf({ n: 6, topic: 'ops' })])
  expect(numbers({ topic: 'ops', since: 350 })).toEqual([5, 6])
  inbox.close()
})
