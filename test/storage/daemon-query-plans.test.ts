/** The indexes of the daemon's databases are those that its statements need, and the other way round. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { EventStatements } from '../../apps/daemon/src/events/statements.ts'
import {
  completeSalvaged,
  InboxStatements,
  type PageFilter,
  pageSql,
  prepareOffers,
  prepareReadReports,
} from '../../apps/daemon/src/inbox/statements.ts'
import { MemberStatements } from '../../apps/daemon/src/members/statements.ts'
import { prepareOutboxStatements } from '../../apps/daemon/src/outbox/statements.ts'
import { closeDatabase, type Database, openDatabase } from '../../packages/storage/src/index.ts'
import { costlySteps, explain, indexTable, indexUses, recordStatements } from '../support/query-plans.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

interface Store {
  readonly name: string
  readonly prepare: (db: Database) => void
  /** Texts that are prepared when they are first needed. */
  readonly later: readonly string[]
  /** What looks at more rows than it returns: how the statement begins, and why that is right. */
  readonly excused: Readonly<Record<string, string>>
}

const filters: readonly PageFilter[] = (['newest', 'oldest'] as const).flatMap((order) =>
  [null, 5].flatMap((afterSeq) =>
    [null, 1].flatMap((receivedSince) =>
      [null, 'ops'].flatMap((topic) =>
        [null, 'a'].flatMap((sender) =>
          [false, true].map((unread) => ({ order, afterSeq, receivedSince, topic, sender, unread })),
        ),
      ),
    ),
  ),
)

const stores: readonly Store[] = [
  {
    name: 'outbox',
    prepare: prepareOutboxStatements,
    later: [],
    excused: {
      'SELECT status, count(*) AS rows FROM outbox': 'once, at the start',
      "UPDATE outbox SET parked = 0, awaits_recipients = 0 WHERE rowid IN (SELECT rowid FROM outbox INDEXED BY outbox_awaiting WHERE status = 'pending' AND parked = 1 AND awaits_recipients = 1)":
        'once, at the start, and changes every row that it finds',
    },
  },
  {
    name: 'inbox',
    prepare: (db) => {
      new InboxStatements(db)
      prepareReadReports(db)
      prepareOffers(db)
      completeSalvaged(db)
    },
    later: filters.map(pageSql),
    excused: {
      'SELECT count(*) FROM inbox': 'once, at the start',
      "UPDATE inbox SET origin = 'history'": 'once, after a salvage, and changes every row',
      'INSERT INTO inbox_text (rowid, body) SELECT': 'once, after a salvage, and reads what it writes',
    },
  },
  {
    name: 'members',
    prepare: (db) => void new MemberStatements(db),
    later: [],
    excused: {
      'SELECT member_id AS memberId': 'the list of all members, each returned',
      'SELECT DISTINCT name FROM member': 'all names, for the nearest to one that leads nowhere: an error message',
      'SELECT member_id, chain FROM member': 'all chains, each judged against a new revocation list',
      'SELECT * FROM topic': 'the list of all topics, each returned',
      'DELETE FROM topic': 'after a complete list of topics came, which is as long',
    },
  },
  {
    name: 'events',
    prepare: (db) => void new EventStatements(db),
    later: [],
    excused: { 'DELETE FROM cursor WHERE substr': 'when hooks are configured: a row for each of them' },
  },
]

describe.each(stores)('the statements of $name', ({ name, prepare, later, excused }) => {
  const directory = new URL(`../../apps/daemon/src/${name}/`, import.meta.url)

  function readPlans() {
    const path = join(scratchDirectory(), `${name}.db`)
    const db = openDatabase({ path, migrations: new URL('schema/', directory), now: () => 1 })
    const prepared = recordStatements(db, prepare)
    const plans = explain(db, [...prepared, ...later])
    const uses = indexUses(db, plans)
    closeDatabase(db)
    return { prepared, plans, uses }
  }

  test('are all looked at', () => {
    const source = readFileSync(new URL('statements.ts', directory), 'utf8')
    const places = source.split('.prepare(').length - 1
    expect(readPlans().prepared.length + (later.length > 0 ? 1 : 0)).toBeGreaterThanOrEqual(places)
  })

  test('need every index that there is', () => {
    const { plans, uses } = readPlans()
    console.log(indexTable(`${name}, ${plans.length} statements`, uses))
    const unused = uses.filter(({ isUnique, statements }) => !isUnique && statements.length === 0)
    expect(unused.map(({ index }) => index)).toEqual([])
  })

  test('look at no more rows than they return or change, and sort none', () => {
    const isExcused = (sql: string) => Object.keys(excused).some((beginning) => sql.startsWith(beginning))
    const costly = readPlans().plans.filter((plan) => costlySteps(plan).length > 0)
    expect(costly.filter(({ sql }) => !isExcused(sql))).toEqual([])
    for (const beginning of Object.keys(excused)) {
      expect(
        costly.some(({ sql }) => sql.startsWith(beginning)),
        `${beginning} needs no excuse`,
      ).toBe(true)
    }
  })
})
