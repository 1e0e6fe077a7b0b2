import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, immediate, openDatabase } from '@claudemesh/storage'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { draftOf, TestRuntime } from '../../../../test/support/outbox.ts'
import { type OutboxStatements, outboxSql, prepareOutboxStatements } from './statements.ts'

const receiptsOfDeleted = ['SEARCH receipt USING PRIMARY KEY (outbox_id=?)']

/** What SQLite says it does for each statement that reads or changes rows; statements of one row by key are below. */
const plans: Readonly<Partial<Record<keyof typeof outboxSql, readonly string[]>>> = {
  selectById: ['SEARCH outbox USING INDEX sqlite_autoindex_outbox_1 (id=?)'],
  selectByPosition: ['SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)'],
  selectByClientMessageId: ['SEARCH outbox USING INDEX outbox_live_id (client_message_id=?)'],
  summaryByClientMessageId: ['SEARCH outbox USING INDEX outbox_live_id (client_message_id=?)'],
  summaryById: ['SEARCH outbox USING INDEX sqlite_autoindex_outbox_1 (id=?)'],
  summaryOfPredecessor: ['SEARCH outbox USING INDEX outbox_predecessor (superseded_by=?)'],
  selectByBrokerMessageId: ['SEARCH outbox USING INDEX outbox_broker_message (broker_message_id=?)'],
  selectReplies: ['SEARCH outbox USING INDEX outbox_reply (reply_to_id=?)'],
  selectPosition: ['SEARCH outbox USING COVERING INDEX sqlite_autoindex_outbox_1 (id=?)'],
  listAll: ['SEARCH outbox USING INTEGER PRIMARY KEY (rowid<?)'],
  listByStatus: ['SEARCH outbox USING INDEX outbox_status (status=? AND rowid<?)'],
  selectReady: ['SEARCH outbox USING INDEX outbox_ready (priority=?)'],
  anyReady: ['SCAN outbox USING COVERING INDEX outbox_ready'],
  firstParked: ['SCAN outbox USING COVERING INDEX outbox_parked'],
  lastParked: ['SCAN outbox USING COVERING INDEX outbox_parked'],
  oldestPending: ['SEARCH outbox USING COVERING INDEX outbox_age'],
  selectOlderPending: ['SEARCH outbox USING INDEX outbox_age (enqueued_at<?)'],
  unparkDue: [
    'SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)',
    'LIST SUBQUERY 1',
    'SEARCH outbox USING COVERING INDEX outbox_parked (next_attempt_at<?)',
  ],
  unparkBeyond: [
    'SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)',
    'LIST SUBQUERY 1',
    'SEARCH outbox USING COVERING INDEX outbox_parked (next_attempt_at>?)',
  ],
  unparkAwaiting: [
    'SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)',
    'LIST SUBQUERY 1',
    'SEARCH outbox USING INDEX outbox_awaiting (destination_kind=? AND destination_ref=?)',
  ],
  unparkAllAwaiting: [
    'SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)',
    'LIST SUBQUERY 1',
    'SCAN outbox USING INDEX outbox_awaiting',
  ],
  parkForRecipients: ['SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)'],
  freezeAndClaim: ['SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)'],
  selectUnsealed: ['SEARCH outbox USING INDEX outbox_status (status=? AND rowid>?)'],
  freeze: ['SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)'],
  markRestored: ['SEARCH outbox USING INDEX outbox_status (status=?)'],
  claimFrozen: ['SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)'],
  releaseInflight: ['SEARCH outbox USING INDEX outbox_status (status=?)'],
  stripDone: [
    'SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)',
    'LIST SUBQUERY 1',
    'SEARCH outbox USING INDEX outbox_retention (<expr>=? AND delivered_at<?)',
  ],
  deleteDone: [
    'SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)',
    'LIST SUBQUERY 1',
    'SEARCH outbox USING INDEX outbox_retention (<expr>=? AND delivered_at<?)',
    ...receiptsOfDeleted,
  ],
  findByBrokerMessageId: ['SEARCH outbox USING INDEX outbox_broker_message (broker_message_id=?)'],
  findUnansweredByClientMessageId: ['SEARCH outbox USING INDEX outbox_live_id (client_message_id=?)'],
  selectReceipts: ['SEARCH receipt USING PRIMARY KEY (outbox_id=?)'],
  selectAnnouncements: [
    'SEARCH a USING INTEGER PRIMARY KEY (rowid>?)',
    'SEARCH o USING INDEX sqlite_autoindex_outbox_1 (id=?) LEFT-JOIN',
    'SEARCH r USING PRIMARY KEY (outbox_id=? AND recipient=? AND state=?) LEFT-JOIN',
  ],
  deleteAnnouncements: ['SEARCH announcement USING INTEGER PRIMARY KEY (rowid<?)'],
  // An operator's act and the count at start-up: in proportion to the rows of one status, and to all rows.
  deleteEnded: [
    'SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)',
    'LIST SUBQUERY 1',
    'SEARCH outbox USING INDEX outbox_status (status=?)',
    ...receiptsOfDeleted,
  ],
  selectBehind: ['SEARCH outbox USING INTEGER PRIMARY KEY (rowid>?)'],
  lastPosition: ['SEARCH outbox_state USING INTEGER PRIMARY KEY (rowid=?)', 'SCALAR SUBQUERY 1', 'SEARCH outbox'],
  notePosition: [
    'SEARCH outbox_state USING INTEGER PRIMARY KEY (rowid=?)',
    'SCALAR SUBQUERY 2',
    'SEARCH outbox',
    'SCALAR SUBQUERY 1',
    'SEARCH outbox',
  ],
  countByStatus: ['SCAN outbox USING COVERING INDEX outbox_status'],
}

const byKey = ['SEARCH outbox USING INDEX sqlite_autoindex_outbox_1 (id=?)']
const insertsNothingRead = ['insertDraft', 'insertReceipt', 'insertAnnouncement']

const directory = mkdtempSync(join(tmpdir(), 'claudemesh-outbox-plans-'))
const runtime = new TestRuntime()
let db: Database
let sql: OutboxStatements

beforeAll(() => {
  const migrations = new URL('./schema/', import.meta.url)
  db = openDatabase({ path: join(directory, 'outbox.db'), migrations, now: runtime.now })
  sql = prepareOutboxStatements(db)
})
afterAll(() => {
  db.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('the plan of', () => {
  for (const [name, text] of Object.entries(outboxSql)) {
    if (insertsNothingRead.includes(name)) continue
    const expected = plans[name as keyof typeof outboxSql] ?? byKey
    it(`${name} uses its index and sorts nothing`, () => {
      const named = Object.fromEntries([...text.matchAll(/@(\w+)/g)].map((match) => [match[1], null]))
      const positional = text.split('?').length - 1
      const parameters = Object.keys(named).length > 0 ? [named] : Array.from({ length: positional }, () => null)
      const rows = db.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...parameters) as { detail: string }[]
      expect(rows.map((row) => row.detail)).toEqual(expected)
    })
  }
})

describe('a row at a time', () => {
  const perRow = [
    ...['insertDraft', 'insertReceipt', 'insertAnnouncement', 'freezeAndClaim', 'claimFrozen', 'parkForRecipients'],
    ...['settleAccepted', 'settleRetry', 'settleReseal', 'settleRefused', 'abort', 'expirePending'],
  ] as const
  for (const name of perRow) {
    it(`${name} builds no temporary index`, () => {
      const text = outboxSql[name as keyof typeof outboxSql]
      const named = Object.fromEntries([...text.matchAll(/@(\w+)/g)].map((match) => [match[1], null]))
      const steps = db.prepare(`EXPLAIN ${text}`).all(named) as { opcode: string }[]
      expect(steps.length).toBeGreaterThan(5)
      // A check with a list of more than two values does.
      expect(steps.filter(({ opcode }) => opcode === 'OpenEphemeral')).toEqual([])
    })
  }
})

describe('with 100,000 rows waiting', () => {
  const rows = 100_000
  const steps: Record<string, () => void> = {
    'a claim': () => {
      const [first] = sql.ready('next', 1)
      const { position = 0 } = first ?? {}
      const wireFingerprint = Buffer.alloc(32)
      sql.freezeAndClaim({ position, sealed: Buffer.alloc(9), wireFingerprint, recipientsEpoch: null })
    },
    'a look-up by id': () => {
      sql.summaryByClientMessageId('nobody')
    },
    'a sweep by age': () => {
      sql.oldestPendingAt()
      sql.olderPending({ before: 0, limit: 512 })
    },
    'a page of the list': () => {
      sql.list({ status: 'pending', before: Number.MAX_SAFE_INTEGER, limit: 1 })
    },
    'a look for replies': () => {
      sql.replies('nobody', 100)
    },
    'a look at rows that are due': () => {
      sql.unparkDue({ now: 0, limit: 512 })
    },
    'an accept': () => {
      sql.insertDraft(draftOf(runtime), null, runtime.now())
    },
  }

  it('every step costs about what it costs with a hundred', { timeout: 120_000 }, () => {
    fill(100)
    const few = measure()
    fill(rows)
    expect(sql.countByStatus().reduce((sum, { rows: count }) => sum + count, 0)).toBeGreaterThan(rows)
    const many = measure()
    for (const name of Object.keys(steps)) {
      // A thousand times the rows: a step that looks at all of them costs hundreds of times as much.
      expect((many[name] ?? 0) / (few[name] ?? 1), name).toBeLessThan(30)
    }
  })

  function fill(count: number): void {
    immediate(db, () => {
      for (let n = 0; n < count; n += 1) sql.insertDraft(draftOf(runtime), null, runtime.now())
    })
  }

  /** The least of several runs: noise only adds. */
  function measure(): Record<string, number> {
    const costs: Record<string, number> = {}
    for (const [name, step] of Object.entries(steps)) {
      let least = Infinity
      for (let run = 0; run < 30; run += 1) {
        immediate(db, () => {
          const started = process.hrtime.bigint()
          for (let repeat = 0; repeat < 10; repeat += 1) step()
          least = Math.min(least, Number(process.hrtime.bigint() - started))
        })
      }
      costs[name] = least
    }
    return costs
  }
})
