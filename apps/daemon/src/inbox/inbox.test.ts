import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '@claudemesh/storage'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DraftFields, draftOf, memberIdOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { Inbox, type InboxDraft, type InboxPageRequest } from './inbox.ts'
import { pageSql, searchSql } from './statements.ts'

const dayMs = 24 * 60 * 60 * 1000
const migrations = new URL('./schema/', import.meta.url)
const everything: InboxPageRequest = {
  order: 'oldest',
  after: null,
  since: null,
  topic: null,
  sender: null,
  unread: false,
  limit: 100,
}

function openInbox(path = join(scratchDirectory(), 'inbox.db'), runtime = new ManualRuntime()) {
  const { inbox, rebuilt } = Inbox.open({ path, runtime })
  const reopen = () => {
    inbox.close()
    return openInbox(path, runtime)
  }
  return { path, runtime, inbox, rebuilt, reopen }
}

function drafts(...fields: readonly DraftFields[]): InboxDraft[] {
  return fields.map(draftOf)
}

/** The numbers of the messages on a page. */
function numbers(inbox: Inbox, request: Partial<InboxPageRequest> = {}): number[] {
  return inbox.page({ ...everything, ...request }).rows.map((row) => Number(row.historyId))
}

function found(inbox: Inbox, text: string): number[] {
  return inbox.search({ text, after: null, limit: 100 }).rows.map((row) => Number(row.historyId))
}

describe('storing', () => {
  test('a message is stored once, however often and in whatever company it comes', () => {
    const { inbox } = openInbox()
    expect(inbox.store(drafts({ n: 1 }, { n: 2 }, { n: 1 }))).toEqual(['stored', 'stored', 'duplicate'])
    expect(inbox.store(drafts({ n: 2 }, { n: 3 }))).toEqual(['duplicate', 'stored'])
    expect(numbers(inbox)).toEqual([1, 2, 3])
    inbox.close()
  })

  test('the same client_message_id of two senders is two messages', () => {
    const { inbox } = openInbox()
    const other = { ...draftOf({ n: 2, from: 'bob' }), clientMessageId: 'client-1' }
    expect(inbox.store([draftOf({ n: 1 }), other])).toEqual(['stored', 'stored'])
    inbox.close()
  })

  test('a broker_message_id that belongs to another message is a conflict and spoils nothing beside it', () => {
    const { inbox } = openInbox()
    const thief = { ...draftOf({ n: 2, from: 'mallory' }), brokerMessageId: messageIdOf(1) }
    expect(inbox.store([draftOf({ n: 1 }), thief, draftOf({ n: 3 })])).toEqual(['stored', 'conflict', 'stored'])
    expect(inbox.get(messageIdOf(1))?.sender).toBe(memberIdOf('alice'))
    inbox.close()
  })

  test('a better copy under the id of another message takes the place of nothing', () => {
    const { inbox } = openInbox()
    inbox.store(drafts({ n: 1, body: null }, { n: 2 }))
    const thief = { ...draftOf({ n: 1, body: 'readable' }), brokerMessageId: messageIdOf(2) }
    expect(inbox.store([thief, draftOf({ n: 3 })])).toEqual(['duplicate_sealed', 'stored'])
    expect(numbers(inbox)).toEqual([1, 2, 3])
    inbox.close()
  })

  test('a message that cannot be opened is kept with its bytes, and is still not opened when it comes again', () => {
    const { inbox, path } = openInbox()
    expect(inbox.store(drafts({ n: 1, body: null }))).toEqual(['stored'])
    expect(inbox.store(drafts({ n: 1, body: null }))).toEqual(['duplicate_sealed'])
    expect(inbox.get(messageIdOf(1))).toMatchObject({ opened: false, body: null, meta: null })
    inbox.close()
    const db = openDatabase({ path, migrations, now: () => 0 })
    expect(db.prepare('SELECT sealed FROM inbox').pluck().get()).toEqual(Buffer.from('sealed 1'))
    db.close()
  })

  test('a copy that can be opened takes the place of one that could not, as a new row', () => {
    const { inbox } = openInbox()
    inbox.store(drafts({ n: 1, body: null }, { n: 2 }))
    expect(inbox.store(drafts({ n: 1, body: 'readable at last' }))).toEqual(['stored'])
    expect(inbox.get(messageIdOf(1))).toMatchObject({ opened: true, body: 'readable at last' })
    expect(numbers(inbox)).toEqual([2, 1])
    expect(inbox.store(drafts({ n: 1, body: null }))).toEqual(['duplicate'])
    expect(found(inbox, 'readable')).toEqual([1])
    expect(inbox.counts()).toEqual({ messages: 2, unread: 2 })
    inbox.close()
  })

  test('bodies come back as they were, also with zero bytes and every script', () => {
    const { inbox } = openInbox()
    const bodies = ['', 'a\u0000b', '日本語 😀', '"quoted" \\ and \n lines', 'x'.repeat(100_000)]
    inbox.store(bodies.map((body, index) => draftOf({ n: index + 1, body })))
    expect(inbox.page(everything).rows.map((row) => row.body)).toEqual(bodies)
    inbox.close()
  })

  test('what was stored is there after the next start', () => {
    const first = openInbox()
    first.inbox.store(drafts({ n: 1 }, { n: 2 }))
    first.inbox.mark([messageIdOf(1)], true)
    const { inbox, rebuilt } = first.reopen()
    expect(rebuilt).toBeNull()
    expect(inbox.generation).toBe(first.inbox.generation)
    expect(numbers(inbox)).toEqual([1, 2])
    expect(inbox.counts()).toEqual({ messages: 2, unread: 1 })
    inbox.close()
  })

  test('any interleaving of repeated deliveries leaves each message once, in order of its first coming', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 8 }), { maxLength: 12 }),
        (batches) => {
          const { inbox } = openInbox()
          const seen: number[] = []
          for (const batch of batches) {
            const outcomes = inbox.store(batch.map((n) => draftOf({ n })))
            for (const [index, n] of batch.entries()) {
              expect(outcomes[index]).toBe(seen.includes(n) ? 'duplicate' : 'stored')
              if (!seen.includes(n)) seen.push(n)
            }
          }
          expect(numbers(inbox)).toEqual(seen)
          expect(inbox.counts().messages).toBe(seen.length)
          inbox.close()
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('pages', () => {
  const alice = memberIdOf('alice')
  const bob = memberIdOf('bob')

  function filled() {
    const opened = openInbox()
    const { inbox, runtime } = opened
    for (let n = 1; n <= 30; n += 1) {
      runtime.advance(1000)
      inbox.store([draftOf({ n, from: n % 3 === 0 ? 'bob' : 'alice', ...(n % 2 === 0 ? { topic: 'builds' } : {}) })])
    }
    inbox.mark(
      [1, 2, 3, 4, 5].map((n) => messageIdOf(n)),
      true,
    )
    return opened
  }
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

  test('newest first and oldest first are each other reversed', () => {
    const { inbox } = filled()
    expect(numbers(inbox)).toEqual(range(1, 30))
    expect(numbers(inbox, { order: 'newest' })).toEqual(range(1, 30).reverse())
    inbox.close()
  })

  for (const order of ['oldest', 'newest'] as const) {
    test(`following next from the ${order} gives every message once`, () => {
      const { inbox } = filled()
      const all: number[] = []
      let after: string | null = null
      for (let pages = 0; pages < 5; pages += 1) {
        const page = inbox.page({ ...everything, order, after, limit: 7 })
        all.push(...page.rows.map((row) => Number(row.historyId)))
        after = page.next
        if (after === null) break
      }
      expect(after).toBeNull()
      expect(all).toEqual(order === 'oldest' ? range(1, 30) : range(1, 30).reverse())
      inbox.close()
    })
  }

  test('a page that holds the last message exactly is the last page', () => {
    const { inbox } = filled()
    expect(inbox.page({ ...everything, limit: 30 }).next).toBeNull()
    expect(inbox.page({ ...everything, limit: 29 }).next).toBe(messageIdOf(29))
    inbox.close()
  })

  test('each filter, and all of them together, keeps what it says', () => {
    const { inbox, runtime } = filled()
    const since = runtime.time - 9 * 1000
    expect(numbers(inbox, { sender: bob })).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27, 30])
    expect(numbers(inbox, { topic: 'builds', sender: alice, limit: 3 })).toEqual([2, 4, 8])
    expect(numbers(inbox, { topic: 'nothing' })).toEqual([])
    expect(numbers(inbox, { unread: true, limit: 2 })).toEqual([6, 7])
    expect(numbers(inbox, { since })).toEqual(range(21, 30))
    expect(numbers(inbox, { since, unread: true, topic: 'builds', sender: bob, order: 'newest' })).toEqual([30, 24])
    inbox.close()
  })

  test('since goes by the time of receipt also when the clock stepped back', () => {
    const { inbox, runtime } = filled()
    const before = runtime.time
    runtime.advance(-3600_000)
    inbox.store(drafts({ n: 31 }))
    expect(numbers(inbox, { since: before - 1000 })).toEqual([29, 30])
    expect(numbers(inbox, { since: runtime.time })).toEqual(range(1, 31))
    inbox.close()
  })

  test('a cursor that is no message of this inbox is refused', () => {
    const { inbox } = filled()
    expect(() => inbox.page({ ...everything, after: messageIdOf(99) })).toThrow(
      expect.objectContaining({ code: 'invalid_cursor' }),
    )
    expect(() => inbox.search({ text: 'message', after: 'x', limit: 5 })).toThrow(
      expect.objectContaining({ code: 'invalid_cursor' }),
    )
    inbox.close()
  })

  test('a page of very large messages ends early and the next one goes on', () => {
    const { inbox } = openInbox()
    const body = 'x'.repeat(1024 * 1024)
    for (let n = 1; n <= 10; n += 1) inbox.store(drafts({ n, body }))
    const first = inbox.page(everything)
    expect(first.rows).toHaveLength(8)
    expect(numbers(inbox, { after: first.next })).toEqual([9, 10])
    inbox.close()
  })

  test('every shape of page is served by an index and never sorted', () => {
    const { inbox, path } = filled()
    inbox.close()
    const db = openDatabase({ path, migrations, now: () => 0 })
    const shapes = [false, true].flatMap((unread) =>
      [null, alice].flatMap((sender) =>
        [null, 'builds'].flatMap((topic) =>
          [null, 1].flatMap((receivedSince) =>
            [null, 9].flatMap((afterSeq) =>
              (['newest', 'oldest'] as const).map((order) => ({
                order,
                afterSeq,
                receivedSince,
                topic,
                sender,
                unread,
              })),
            ),
          ),
        ),
      ),
    )
    for (const shape of shapes) {
      const plan = db.prepare(`EXPLAIN QUERY PLAN ${pageSql(shape)}`).all({ ...shape, limit: 10 })
      const details = plan.map((step) => (step as { detail: string }).detail)
      expect(details.join(), JSON.stringify(shape)).not.toContain('TEMP B-TREE')
      const walks = details.filter((detail) => /^(SEARCH|SCAN) inbox\b(?!.*inbox_received_max)/.test(detail))
      // Every filter is in the part of the index that is walked, so that every row met on the way is on the page.
      const columns = [shape.topic && 'destination_ref=?', shape.sender && 'sender=?'].filter((text) => text !== null)
      const isMerged = columns.length > 0 && !shape.unread
      expect(walks, JSON.stringify(shape)).toHaveLength(isMerged ? 2 : 1)
      for (const walk of walks) {
        if (columns.length > 0) expect(walk).toContain(`(${[...columns, '<expr>=?'].join(' AND ')}`)
        else if (shape.unread) expect(walk).toContain('USING INDEX inbox_unread')
        else expect(walk).toMatch(/^(SCAN inbox|SEARCH inbox USING INTEGER PRIMARY KEY .*)$/)
      }
      const bounds = details.filter((detail) => detail.includes('inbox_received_max'))
      const bound = 'SEARCH inbox USING COVERING INDEX inbox_received_max (received_max>?)'
      expect(new Set(bounds)).toEqual(new Set(shape.receivedSince === null ? [] : [bound]))
      // The first of that index, not the least of all that follow.
      expect(pageSql(shape)).not.toMatch(/\b(min|max)\s*\(/)
    }
    const search = db.prepare(`EXPLAIN QUERY PLAN ${searchSql}`).all({ match: '"x"', beforeSeq: 9, limit: 9 })
    expect(search.map((step) => (step as { detail: string }).detail).join()).not.toContain('TEMP B-TREE')
    expect(shapes).toHaveLength(64)
    db.close()
  })
})

describe('search', () => {
  test('finds words, phrases and prefixes in any case, the newest first', () => {
    const { inbox } = openInbox()
    inbox.store(
      drafts(
        { n: 1, body: 'The build failed on main' },
        { n: 2, body: 'main: build is green' },
        { n: 3, body: 'Café déjà-vu' },
        { n: 4, body: null },
        { n: 5, body: 'failing again' },
      ),
    )
    expect(found(inbox, 'BUILD main')).toEqual([2, 1])
    expect(found(inbox, '"build failed"')).toEqual([1])
    expect(found(inbox, 'fail*')).toEqual([5, 1])
    expect(found(inbox, 'cafe "deja vu"')).toEqual([3])
    expect(found(inbox, 'nothing')).toEqual([])
    inbox.close()
  })

  test('pages through its hits', () => {
    const { inbox } = openInbox()
    inbox.store(Array.from({ length: 9 }, (_, index) => draftOf({ n: index + 1, body: 'hit' })))
    const first = inbox.search({ text: 'hit', after: null, limit: 4 })
    const second = inbox.search({ text: 'hit', after: first.next, limit: 4 })
    const third = inbox.search({ text: 'hit', after: second.next, limit: 4 })
    const all = [first, second, third].flatMap((page) => page.rows.map((row) => Number(row.historyId)))
    expect(all).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1])
    expect(third.next).toBeNull()
    inbox.close()
  })

  test('never fails on what a person types', () => {
    const { inbox } = openInbox()
    inbox.store(drafts({ n: 1, body: 'something' }))
    const typed = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({
        unit: fc.constantFrom('"', '*', '(', ')', ':', '^', '-', '+', 'a', ' ', '\u0000', 'NEAR', 'OR', "'"),
      }),
    )
    fc.assert(
      fc.property(typed, (text) => {
        expect(Array.isArray(inbox.search({ text, after: null, limit: 5 }).rows)).toBe(true)
      }),
      { numRuns: 300 },
    )
    inbox.close()
  })

  test('finds a message by any word of it', () => {
    const { inbox } = openInbox()
    const words = fc.array(fc.stringMatching(/^[a-z0-9]{1,12}$/), { minLength: 1, maxLength: 12 })
    let n = 0
    fc.assert(
      fc.property(words, (body) => {
        n += 1
        inbox.store([draftOf({ n, body: body.join(' ') })])
        for (const word of body) expect(found(inbox, word)).toContain(n)
        expect(found(inbox, `"${body.join(' ')}"`)).toContain(n)
      }),
      { numRuns: 40 },
    )
    inbox.close()
  })
})

describe('marking', () => {
  test('counts what changed and names what is unknown', () => {
    const { inbox } = openInbox()
    inbox.store(drafts({ n: 1 }, { n: 2 }, { n: 3 }))
    const ids = [messageIdOf(1), messageIdOf(2), messageIdOf(2), messageIdOf(9)]
    expect(inbox.mark(ids, true)).toEqual({ marked: 2, unknown: [messageIdOf(9)] })
    expect(inbox.mark(ids, true)).toEqual({ marked: 0, unknown: [messageIdOf(9)] })
    expect(inbox.counts()).toEqual({ messages: 3, unread: 1 })
    expect(inbox.mark([messageIdOf(1)], false)).toEqual({ marked: 1, unknown: [] })
    expect(numbers(inbox, { unread: true })).toEqual([1, 3])
    inbox.close()
  })
})

describe('retention', () => {
  test('removes what is older than its days, oldest first, in bounded steps, with its words', () => {
    const { inbox, runtime } = openInbox()
    for (let n = 1; n <= 10; n += 1) {
      inbox.store(drafts({ n, body: 'old word', ...(n === 4 ? { body: null } : {}) }))
      runtime.advance(dayMs)
    }
    const retain = () => inbox.retain({ now: runtime.time, days: 4, rowsMax: 4 })
    expect([retain(), retain(), retain()]).toEqual([4, 2, 0])
    expect(numbers(inbox)).toEqual([7, 8, 9, 10])
    expect(found(inbox, 'word')).toEqual([10, 9, 8, 7])
    expect(inbox.counts()).toEqual({ messages: 4, unread: 4 })
    inbox.close()
  })

  test('never gives a seq again', () => {
    const { inbox, runtime, reopen } = openInbox()
    inbox.store(drafts({ n: 1 }, { n: 2 }))
    inbox.retain({ now: runtime.time + 31 * dayMs, days: 30, rowsMax: 100 })
    const again = reopen()
    again.inbox.store(drafts({ n: 3 }))
    expect(again.inbox.get(messageIdOf(3))?.seq).toBe(3)
    again.inbox.close()
  })
})

describe('a damaged inbox', () => {
  function damaged() {
    const opened = openInbox()
    opened.inbox.store(drafts({ n: 1 }, { n: 2 }))
    opened.inbox.close()
    writeFileSync(opened.path, 'this is no database, and it is long enough to be looked at as one'.repeat(50))
    return opened
  }
  const quarantined = (path: string) => readdirSync(join(path, '..')).filter((name) => name.includes('.corrupt-'))

  test('is moved aside, replaced by an empty one that wants its history back, and said so once', () => {
    const { path, runtime } = damaged()
    writeFileSync(`${path}-wal`, 'a journal of the damaged file')
    const { inbox, rebuilt, reopen } = openInbox(path, runtime)
    expect(rebuilt?.movedTo).toMatch(/inbox\.db\.corrupt-20260101T000000000Z$/)
    expect(quarantined(path)).toContainEqual(expect.stringMatching(/T000000000Z-wal$/))
    expect(existsSync(`${path}-wal`) && readFileSync(`${path}-wal`, 'latin1').startsWith('a journal')).toBe(false)
    expect(inbox.counts()).toEqual({ messages: 0, unread: 0 })
    expect(inbox.refetch()).toEqual({ rebuiltAt: runtime.time, after: null })
    const again = reopen()
    expect(again.rebuilt).toBeNull()
    expect(again.inbox.rebuilt).toEqual({ at: runtime.time, from: rebuilt?.movedTo })
    expect(again.inbox.refetch()).not.toBeNull()
    again.inbox.close()
  })

  test('has another generation than before', () => {
    const opened = damaged()
    const { inbox } = openInbox(opened.path, opened.runtime)
    expect(inbox.generation).not.toBe(opened.inbox.generation)
    inbox.close()
  })

  test('whose move was cut short by a crash is moved to the end, and its journal never meets the new file', () => {
    const { path, runtime } = damaged()
    renameSync(path, `${path}.corrupt-20251231T235959000Z`)
    writeFileSync(`${path}-wal`, 'left behind')
    const { inbox, rebuilt } = openInbox(path, runtime)
    expect(rebuilt?.movedTo).toMatch(/20251231T235959000Z$/)
    expect(inbox.refetch()).not.toBeNull()
    inbox.close()
    expect(quarantined(path)).toHaveLength(2)
    expect(existsSync(`${path}-wal`)).toBe(false)
  })

  test('of a newer schema is refused and stays where it is', () => {
    const { path, inbox, runtime } = openInbox()
    inbox.close()
    const db = openDatabase({ path, migrations, now: () => 0 })
    db.pragma('user_version = 999')
    const tables = db.prepare(`SELECT name FROM sqlite_master WHERE name LIKE 'schema_migration%'`).pluck().all()
    expect(tables).not.toEqual([])
    const columns = db.prepare(`SELECT name FROM pragma_table_info('schema_migration')`).pluck().all() as string[]
    const values = db.prepare('SELECT * FROM schema_migration LIMIT 1').get() as Record<string, unknown>
    const [key = ''] = columns
    db.prepare(
      `INSERT INTO schema_migration (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    ).run(columns.map((column) => (column === key ? 999 : `${values[column]}`)))
    db.close()
    expect(() => Inbox.open({ path, runtime })).toThrow(expect.objectContaining({ code: 'schema_too_new' }))
    expect(quarantined(path)).toEqual([])
  })
})

describe('history read back', () => {
  function rebuilt() {
    const opened = openInbox()
    opened.inbox.close()
    writeFileSync(opened.path, 'damaged'.repeat(1000))
    return openInbox(opened.path, opened.runtime)
  }

  test('fills the inbox and remembers where to go on, also after a start', () => {
    const { inbox, reopen } = rebuilt()
    expect(inbox.storeHistory(drafts({ n: 1 }, { n: 2 }), '2')).toEqual(['stored', 'stored'])
    const again = reopen()
    expect(again.inbox.refetch()).toMatchObject({ after: '2' })
    again.inbox.storeHistory(drafts({ n: 2 }, { n: 3 }), null)
    expect(again.inbox.refetch()).toBeNull()
    const last = again.reopen()
    expect(last.inbox.refetch()).toBeNull()
    expect(last.inbox.page(everything).rows.map((row) => [row.historyId, row.origin])).toEqual([
      ['1', 'history'],
      ['2', 'history'],
      ['3', 'history'],
    ])
    last.inbox.close()
  })

  test('gives way to a delivery of the same message, which is new; a delivered row never gives way to history', () => {
    const { inbox } = rebuilt()
    inbox.storeHistory(drafts({ n: 1 }, { n: 2 }), '2')
    expect(inbox.store(drafts({ n: 1 }))).toEqual(['stored'])
    expect(inbox.store(drafts({ n: 1 }))).toEqual(['duplicate'])
    expect(inbox.storeHistory(drafts({ n: 1 }), null)).toEqual(['duplicate'])
    expect(inbox.get(messageIdOf(1))).toMatchObject({ origin: 'delivery' })
    expect(numbers(inbox)).toEqual([2, 1])
    expect(inbox.counts()).toEqual({ messages: 2, unread: 2 })
    expect(found(inbox, 'message')).toEqual([1, 2])
    inbox.close()
  })
})
