/** The operations of a broker's store that change rows: how each is called, where it can be killed, and what holds then. */
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { expect } from 'vitest'
import type { Store } from '../../apps/broker/src/store/store.ts'
import type { Engine } from '../conformance/engines.ts'
import { consume, enqueue, jobs, takeOne } from '../conformance/queue-scenario.ts'
import { admissionOf, claim, makeItem, type openWithMembers, sendMany, subscribe } from '../conformance/scenario.ts'
import { ask } from '../support/postgres.ts'

const dayMs = 86_400_000
const leaseMs = 60_000

type Scene = Awaited<ReturnType<typeof openWithMembers>>

/** A call of the store: `operation` or `part.operation`, and its arguments. */
export interface Call {
  readonly operation: string
  readonly args: readonly unknown[]
}

export interface Step {
  readonly at: string
  /** Whether all of it has happened by then. */
  readonly done: boolean
}

export interface Operation {
  readonly name: string
  /** Steps that have a name of their own; those of the transaction itself come with each. */
  readonly steps: readonly Step[]
  /** False: nothing of it is in the rows (the claims of the embedded engine). */
  readonly changesRows?: (engineName: string) => boolean
  /** Makes what the operation needs, and says how it is called. */
  readonly prepare: (scene: Scene) => Promise<Call>
  /** What it answers when it is asked again after it was done. */
  readonly again: unknown
}

const commits = (before: string, after: string): readonly Step[] => [
  { at: before, done: false },
  { at: after, done: true },
]

/** The steps of every transaction, which stand in where an operation has none of its own. */
export const transactionSteps: Readonly<Record<string, readonly Step[]>> = {
  SQLite: commits('transaction.before_commit', 'transaction.committed'),
  PostgreSQL: commits('postgres.before_commit', 'postgres.committed'),
}

export const operations: readonly Operation[] = [
  {
    name: 'accept',
    steps: [
      { at: 'broker.accept.after-message', done: false },
      ...commits('broker.accept.before-commit', 'broker.accept.after-commit'),
    ],
    async prepare({ engine, alice, bob }) {
      const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }, { mentions: [bob.memberId] })
      return { operation: 'acceptBatch', args: [[item]] }
    },
    again: [{ kind: 'known' }],
  },
  {
    name: 'acquire a space',
    steps: [],
    async prepare({ engine, alice }) {
      const request = { space: 'plans', head: { seq: 0, eventId: null }, termMs: 15_000, now: engine.clock.now() }
      return { operation: 'spaces.acquire', args: [alice, request] }
    },
    again: { granted: true, lease: { epoch: 2 } },
  },
  {
    name: 'append to a space',
    steps: commits('broker.accept.before-commit', 'broker.accept.after-commit'),
    async prepare({ engine, alice, bob }) {
      const head = { seq: 0, eventId: null }
      await subscribe(engine, bob, 'space.plans')
      await engine.store.spaces.acquire(alice, { space: 'plans', head, termMs: 15_000, now: engine.clock.now() })
      const item = makeItem(engine, alice, { kind: 'topic', ref: 'space.plans' })
      const append = { space: 'plans', epoch: 1, after: 0, head: { seq: 1, eventId: engine.clock.nextId() } }
      return { operation: 'appendToSpace', args: [item, append] }
    },
    again: { kind: 'known' },
  },
  {
    name: 'claim',
    steps: [{ at: 'broker.deliver.after-claim', done: true }],
    changesRows: (engineName) => engineName === 'PostgreSQL',
    async prepare({ engine, alice, bob }) {
      await sendMany(engine, { from: alice, to: bob, count: 2 })
      return { operation: 'claim', args: [{ ...bob, connectionId: 'c', leaseMs, itemsMax: 9, bytesMax: 9_999 }] }
    },
    again: { receipts: [] },
  },
  {
    name: 'acknowledge',
    steps: commits('broker.ack.before-commit', 'broker.ack.after-commit'),
    async prepare({ engine, alice, bob }) {
      await sendMany(engine, { from: alice, to: bob, count: 2 })
      const [deliveryId] = await claim(engine, bob, { connectionId: 'c' })
      return { operation: 'acknowledge', args: [bob, [{ deliveryId, outcome: 'stored' }]] }
    },
    again: [],
  },
  {
    name: 'report as read',
    steps: commits('broker.read.before-commit', 'broker.read.after-commit'),
    async prepare({ engine, alice, bob }) {
      const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
      await engine.store.acceptBatch([item])
      return { operation: 'recordRead', args: [bob, [{ brokerMessageId: item.brokerMessageId, at: item.acceptedAt }]] }
    },
    again: [],
  },
  {
    name: 'take',
    steps: commits('broker.take.before-commit', 'broker.take.after-commit'),
    async prepare({ engine, alice, bob }) {
      await consume(engine, bob)
      await enqueue(engine, alice, [{}])
      const request = { ...bob, queue: jobs.ref, limit: 9, bytesMax: 9_999, leaseId: engine.clock.nextId(), leaseMs }
      return { operation: 'queues.take', args: [{ ...request, now: engine.clock.now() }] }
    },
    again: { kind: 'taken', messages: [] },
  },
  {
    name: 'settle',
    steps: commits('broker.settle.before-commit', 'broker.settle.after-commit'),
    async prepare({ engine, alice, bob }) {
      await consume(engine, bob)
      await enqueue(engine, alice, [{}])
      const { id: brokerMessageId, leaseId } = await takeOne(engine, bob)
      const items = [{ brokerMessageId, leaseId, action: 'ack' }]
      return { operation: 'queues.settle', args: [bob, { items, now: engine.clock.now() }] }
    },
    again: { outcomes: ['done'] },
  },
  {
    name: 'bury',
    steps: [{ at: 'broker.bury.before-commit', done: false }],
    async prepare({ engine, alice, bob }) {
      await consume(engine, bob, { maxDeliveries: 1 })
      await enqueue(engine, alice, [{}])
      await takeOne(engine, bob, { leaseMs: 1 })
      return { operation: 'queues.buryExhausted', args: [{ now: engine.clock.now() + dayMs, rowsMax: 9 }] }
    },
    again: { rows: 0 },
  },
  {
    name: 'requeue what is dead',
    steps: [],
    async prepare({ engine, alice, bob }) {
      await consume(engine, bob, { maxDeliveries: 1 })
      const [id] = await enqueue(engine, alice, [{}])
      await takeOne(engine, bob, { leaseMs: 1 })
      const now = engine.clock.now() + dayMs
      await engine.store.queues.buryExhausted({ now, rowsMax: 9 })
      return { operation: 'queues.requeueDead', args: [bob, { queue: jobs.ref, brokerMessageIds: [id], now }] }
    },
    again: 0,
  },
  {
    name: 'leave',
    steps: [{ at: 'broker.leave.before-commit', done: false }],
    async prepare(scene) {
      const { engine, bob } = await withWaiting(scene)
      return { operation: 'leave', args: [bob, { at: engine.clock.now(), rowsMax: 2, leaseEnded: false }] }
    },
    again: null,
  },
  {
    name: 'drain',
    steps: [],
    async prepare(scene) {
      const { engine, bob } = await withWaiting(scene)
      await engine.store.leave(bob, { at: engine.clock.now(), rowsMax: 2, leaseEnded: false })
      return { operation: 'drain', args: [{ at: engine.clock.now(), rowsMax: 9 }] }
    },
    again: { rows: 0 },
  },
  {
    name: 'revoke',
    steps: [{ at: 'broker.revoke.before-commit', done: false }],
    async prepare(scene) {
      const { engine, mesh, alice, bob } = await withWaiting(scene)
      const put = mesh.revoke({ members: [{ member_id: bob.memberId, at: engine.clock.now() }] })
      const issuer = { memberId: alice.memberId, signingKey: mesh.founder.keys.signing.publicKey }
      const change = { ...put, follows: null, issuer, at: engine.clock.now(), rowsMax: 2 }
      return { operation: 'putRevocations', args: [change] }
    },
    again: { kind: 'stale' },
  },
  {
    name: 'retention',
    steps: [{ at: 'broker.retention.before-commit', done: false }],
    async prepare(scene) {
      const { engine } = await withWaiting(scene)
      const options = { now: engine.clock.now() + 40 * dayMs, messageRetentionDays: 30, rowsMax: 100 }
      return { operation: 'expireMessages', args: [options] }
    },
    again: { rows: 0 },
  },
  {
    name: 'forget ids',
    steps: [],
    async prepare(scene) {
      const { engine } = await withWaiting(scene)
      const now = engine.clock.now() + 40 * dayMs
      await engine.store.expireMessages({ now, messageRetentionDays: 30, rowsMax: 100 })
      return { operation: 'expireDedupe', args: [{ now: now + 100 * dayMs, rowsMax: 100 }] }
    },
    again: 0,
  },
  {
    name: 'admit',
    steps: [],
    async prepare({ engine, mesh }) {
      return { operation: 'admit', args: [admissionOf(engine, mesh.join('dave'))] }
    },
    again: { kind: 'admitted', changed: null },
  },
  {
    name: 'subscribe',
    steps: [],
    async prepare({ engine, bob }) {
      return { operation: 'subscribe', args: [bob, { topic: 'news', subscribed: true, at: engine.clock.now() }] }
    },
    again: expect.anything(),
  },
]

/** Five messages that wait for bob, who subscribes to a topic. */
async function withWaiting(scene: Scene): Promise<Scene> {
  await subscribe(scene.engine, scene.bob, 'news')
  await sendMany(scene.engine, { from: scene.alice, to: scene.bob, count: 5 })
  return scene
}

/** Runs the call in this process, to its end. */
export async function run(store: Store, { operation, args }: Call): Promise<unknown> {
  const [name = '', part] = operation.split('.').reverse()
  const target: unknown = part === undefined ? store : Reflect.get(store, part)
  if (target === null || typeof target !== 'object') throw new Error(`no ${part}`)
  const method: unknown = Reflect.get(target, name)
  if (typeof method !== 'function') throw new Error(`no ${operation}`)
  return await Reflect.apply(method, target, args)
}

export function placeOf({ database }: Engine): string {
  return 'databaseUrl' in database ? database.databaseUrl : join(database.data, 'broker.db')
}

/** Every row of every table. */
export async function dump(engine: Engine): Promise<ReadonlyMap<string, unknown>> {
  const { database } = engine
  if ('databaseUrl' in database) {
    const rows = await ask<{ name: string; rows: string }>(
      database.databaseUrl,
      `SELECT relname AS name, query_to_xml(format('SELECT * FROM mesh.%I t ORDER BY t::text', relname), true, false, '')::text AS rows
         FROM pg_class WHERE relnamespace = 'mesh'::regnamespace AND relkind = 'r' ORDER BY relname`,
    )
    return new Map(rows.map((row) => [row.name, row.rows]))
  }
  const db = new BetterSqlite3(placeOf(engine), { readonly: true })
  try {
    const tables = db
      .prepare<[], string>(`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
      .pluck()
      .all()
    return new Map(tables.map((table) => [table, db.prepare(`SELECT * FROM "${table}"`).all()]))
  } finally {
    db.close()
  }
}
