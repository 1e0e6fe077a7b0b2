/**
 * The indexes of the embedded engine are those that its statements need, and the other way round. What PostgreSQL reads is
 * counted while it runs (postgres-plans.test.ts); it has the same indexes, which the last test compares.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeChecks } from '../../apps/broker/src/store/inspection/statements.ts'
import { prepareAccept } from '../../apps/broker/src/store/sqlite/accept/statements.ts'
import { prepareBlobs } from '../../apps/broker/src/store/sqlite/blobs/statements.ts'
import { prepareDeliveries } from '../../apps/broker/src/store/sqlite/deliveries/statements.ts'
import { prepareDepartures, prepareRevocations } from '../../apps/broker/src/store/sqlite/departure/statements.ts'
import { prepareInspection } from '../../apps/broker/src/store/sqlite/inspection/statements.ts'
import { prepareAdmission, prepareDirectory } from '../../apps/broker/src/store/sqlite/membership/statements.ts'
import { prepareQueues } from '../../apps/broker/src/store/sqlite/queues/statements.ts'
import { prepareWork } from '../../apps/broker/src/store/sqlite/queues/work/statements.ts'
import { prepareRetention } from '../../apps/broker/src/store/sqlite/retention/statements.ts'
import { prepareSpaces } from '../../apps/broker/src/store/sqlite/spaces/statements.ts'
import { prepareBoundaries, prepareCounters, prepareService } from '../../apps/broker/src/store/sqlite/statements.ts'
import { closeDatabase, type Database, openDatabase } from '../../packages/storage/src/index.ts'
import {
  costlySteps,
  explain,
  indexTable,
  indexUses,
  type QueryPlan,
  recordStatements,
} from '../support/query-plans.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const directory = new URL('../../apps/broker/src/store/sqlite/', import.meta.url)

/** What looks at more rows than it returns: how the statement begins, and why that is right. */
const excused: Readonly<Record<string, string>> = {
  'SELECT id AS meshId': 'a row a mesh: at the start, and by retention once a minute',
  'SELECT mesh_id AS meshId, member_id AS memberId FROM presence WHERE online = 1':
    'once, at the start; each is returned',
  'UPDATE message_queue SET visible_at = @now WHERE rowid IN': 'a row a queue, once a minute',
  'SELECT (SELECT count(*) FROM mesh) AS meshes': 'for /metrics alone: a row a mesh and a member, 100001 of the queue',
  'SELECT coalesce(sum(blobs), 0) AS blobs': 'for /metrics alone: a row a mesh',
  'SELECT count(*) AS one FROM mesh': 'a row a mesh: whether the database answers',
  'SELECT min(100001, (SELECT count(*)': 'for /metrics alone: 100001 rows of each state',
}

/** What reads all that a mesh has in a table, or all behind a point in it. */
const excusedInMesh: Readonly<Record<string, string>> = {
  'SELECT member_id AS memberId, chain FROM member WHERE mesh_id = ? AND joined_at >= ?':
    'all that joined since a revoked key was in use are judged again',
}

/** Seats and presence are in memory where there is one process (seats.ts). */
const ofNodes = ['presence_absent', 'seat_by_member', 'seat_by_node', 'seat_ending']

/** Tables that have one row a mesh. */
const perMesh = ['blob_usage', 'mesh_counter', 'revocation_list']

const preparations = [
  prepareAccept,
  prepareAdmission,
  prepareBlobs,
  prepareBoundaries,
  prepareCounters,
  prepareDeliveries,
  prepareDepartures,
  prepareDirectory,
  prepareInspection,
  prepareQueues,
  prepareRetention,
  prepareRevocations,
  prepareService,
  prepareSpaces,
  prepareWork,
]

function readPlans() {
  const db = openDatabase({
    path: join(scratchDirectory(), 'broker.db'),
    migrations: new URL('schema/', directory),
    now: () => 1,
  })
  const prepared = recordStatements(db, (recording: Database) => {
    for (const prepare of preparations) prepare(recording)
  })
  const later = writeChecks('main', () => '?').flatMap(({ page, find }) => [page, find])
  const running = explain(
    db,
    prepared.filter((sql) => !/^(SAVEPOINT|RELEASE|ROLLBACK)/.test(sql)),
  )
  const plans = [...running, ...explain(db, later)]
  const uses = indexUses(db, plans)
  closeDatabase(db)
  return { running, plans, uses }
}

test('every statement of the embedded engine is looked at', () => {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('statements.ts'),
  )
  const sources = files.map((file) => readFileSync(new URL(file, directory), 'utf8')).join('\n')
  const names = [...sources.matchAll(/export function (prepare\w+)/g)].map(([, name]) => name)
  expect(names.toSorted()).toEqual(preparations.map(({ name }) => name).toSorted())
  expect(readPlans().running.length).toBeGreaterThan(100)
})

test('the statements of the embedded engine need every index that there is', () => {
  const { plans, uses } = readPlans()
  console.log(indexTable(`broker, ${plans.length} statements`, uses))
  const unused = uses.filter(({ isUnique, statements }) => !isUnique && statements.length === 0)
  expect(unused.map(({ index }) => index)).toEqual([])
})

test('no statement of the embedded engine looks at more rows than it returns or changes, nor sorts any', () => {
  expectExcused(
    readPlans().plans.filter((plan) => costlySteps(plan).length > 0),
    excused,
  )
})

test('no statement of the embedded engine reads the rows of a whole mesh to find those of one member', () => {
  const readsMesh = ({ sql, steps }: QueryPlan) =>
    !/\bLIMIT \+/.test(sql) &&
    steps.some((step) => {
      const [, table] = /^SEARCH (\w+) .*\(mesh_id=\?( AND \w+>\?)?\)$/.exec(step) ?? []
      return table !== undefined && !perMesh.includes(table)
    })
  expectExcused(readPlans().running.filter(readsMesh), excusedInMesh)
})

function expectExcused(costly: readonly QueryPlan[], excuses: Readonly<Record<string, string>>): void {
  const beginnings = Object.keys(excuses)
  const isExcused = (sql: string) => beginnings.some((beginning) => sql.startsWith(beginning))
  expect(costly.filter(({ sql }) => !isExcused(sql))).toEqual([])
  const needless = beginnings.filter((beginning) => !costly.some(({ sql }) => sql.startsWith(beginning)))
  expect(needless).toEqual([])
}

test('both engines have the same indexes, but for what only one of them keeps', () => {
  const declared = (engine: string) => {
    const schema = new URL(`../${engine}/schema/`, directory)
    const names = readdirSync(schema).toSorted()
    const text = names.map((name) => readFileSync(new URL(name, schema), 'utf8')).join('\n')
    const indexes = new Map<string, string>()
    for (const [, drop, made, columns] of text.matchAll(
      /(?:DROP INDEX (?:mesh\.)?(\w+)|CREATE (?:UNIQUE )?INDEX (\w+)\s+ON (?:mesh\.)?(\w+ \([^)]*\)))/g,
    )) {
      if (drop !== undefined) indexes.delete(drop)
      else if (made !== undefined && columns !== undefined) indexes.set(made, columns)
    }
    return indexes
  }
  const [sqlite, postgres] = [declared('sqlite'), declared('postgres')]
  const differing = [...new Set([...sqlite.keys(), ...postgres.keys()])].filter(
    (name) => sqlite.get(name) !== postgres.get(name),
  )
  expect(differing.toSorted()).toEqual(ofNodes)
})
