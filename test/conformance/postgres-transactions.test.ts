/** What the engine for a team promises beyond the suites: many brokers at once, and transactions that do not go through. */

import type { Pool, Session } from '@claudemesh/storage/postgres'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../apps/broker/src/runtime.ts'
import { acceptAll } from '../../apps/broker/src/store/postgres/accept/accept.ts'
import { acknowledgeAll } from '../../apps/broker/src/store/postgres/deliveries/deliveries.ts'
import { openPool } from '../../apps/broker/src/store/postgres/open-pool.ts'
import { PostgresStore } from '../../apps/broker/src/store/postgres/postgres-store.ts'
import type { AcceptItem, AcceptOutcome } from '../../apps/broker/src/store/store.ts'
import { eventually } from '../support/eventually.ts'
import { ask } from '../support/postgres.ts'
import { openProxy } from '../support/postgres-proxy.ts'
import { openPostgres } from './engines.ts'
import { acceptOne, claim, makeItem, openWithMembers, sendMany, subscribe } from './scenario.ts'

const acceptTables = ['client_message_dedupe', 'topic_message', 'message_history', 'delivery_queue'] as const

async function openScene() {
  const scene = await openWithMembers(openPostgres)
  const { database } = scene.engine
  if (!('databaseUrl' in database)) throw new Error('this engine has a database')
  return { ...scene, url: database.databaseUrl }
}

async function openStore(url: string): Promise<PostgresStore> {
  const store = await PostgresStore.open({ url, runtime: systemRuntime() })
  onTestFinished(() => store.close())
  return store
}

describe('many brokers over one database', () => {
  test('of the same ids sent through all of them at once, each is stored once and known to everybody else', async () => {
    const { engine, url, alice, bob } = await openScene()
    const stores = [engine.store, await openStore(url), await openStore(url), await openStore(url)]
    const to = { kind: 'dm', ref: bob.memberId } as const
    const ids = Array.from({ length: 40 }, (_, n) => `contended-${n}`)
    const copies = stores.flatMap((store, n) =>
      [ids, ids.toReversed()].map((order) => ({
        store,
        items: order.map((id) => makeItem(engine, alice, to, { id, text: n % 2 === 0 ? 'one' : 'another' })),
      })),
    )
    const answered = await Promise.all(
      copies.map(async ({ store, items }) => {
        const outcomes = await store.acceptBatch(items)
        return outcomes.map((outcome, index) => ({ outcome, id: items[index]?.clientMessageId ?? '' }))
      }),
    )
    for (const id of ids) {
      const outcomes = answered.flat().flatMap((each) => (each.id === id ? [each.outcome] : []))
      const [stored, ...more] = outcomes.filter((outcome) => outcome.kind === 'stored')
      expect(more).toEqual([])
      const { brokerMessageId } = stored ?? {}
      const known = outcomes.filter((outcome) => outcome.kind === 'known')
      expect(known).toHaveLength(copies.length - 1)
      for (const { accepted } of known) expect(accepted).toMatchObject({ brokerMessageId })
    }
    for (const table of acceptTables) expect(await engine.count(table)).toBe(ids.length)
  })

  test('nobody ever sees a number of the history before all that come before it', async () => {
    const { engine, url, alice, bob, carol } = await openScene()
    for (const member of [bob, carol]) await subscribe(engine, member, 'news')
    const stores = [engine.store, await openStore(url), await openStore(url)]
    let writing = true
    const writers = stores.map(async (store, n) => {
      for (let batch = 0; batch < 40; batch += 1) {
        const items = Array.from({ length: 1 + ((batch + n) % 7) }, (_, index) =>
          makeItem(engine, alice, index % 2 === 0 ? { kind: 'dm', ref: bob.memberId } : { kind: 'topic', ref: 'news' }),
        )
        await store.acceptBatch(items)
      }
    })
    const reader = (async () => {
      const seen: number[] = []
      while (writing) {
        const [row] = await ask<{ rows: string; last: string }>(
          url,
          'SELECT count(*) AS rows, coalesce(max(history_id), 0) AS last FROM mesh.message_history',
        )
        expect(row?.rows).toBe(row?.last)
        seen.push(Number(row?.last))
      }
      return seen
    })()
    await Promise.all(writers)
    writing = false
    expect(new Set(await reader).size, 'it looked while they wrote').toBeGreaterThan(3)
    const deliveries = await ask<{ delivery_id: string }>(url, 'SELECT delivery_id FROM mesh.delivery_queue')
    const ids = deliveries.map((row) => Number(row.delivery_id)).toSorted((left, right) => left - right)
    expect(ids).toEqual(ids.map((_id, index) => index + 1))
  })

  test('connections of one member on several brokers share what waits, each message on one of them', async () => {
    const { engine, url, alice, bob } = await openScene()
    await sendMany(engine, { from: alice, to: bob, count: 120 })
    const stores = [engine.store, await openStore(url), await openStore(url)]
    const taken = await Promise.all(
      stores.map(async (store, n) => {
        const mine: number[] = []
        for (;;) {
          const request = { ...bob, connectionId: `c${n}`, leaseMs: 30_000, itemsMax: 7, bytesMax: 1_000_000 }
          const { deliveries } = await store.claim(request)
          if (deliveries.length === 0) return mine
          mine.push(...deliveries.map((delivery) => delivery.deliveryId))
        }
      }),
    )
    const all = taken.flat().toSorted((left, right) => left - right)
    // A broker passes over what another one is claiming at that moment: then some is left for the next look.
    all.push(...(await claim(engine, bob, { connectionId: 'last', itemsMax: 200 })))
    expect(all.toSorted((left, right) => left - right)).toEqual(Array.from({ length: 120 }, (_, n) => n + 1))
    for (const mine of taken) expect(mine).toEqual(mine.toSorted((left, right) => left - right))
  })
})

describe('a transaction that does not go through', () => {
  for (const state of ['40001', '40P01']) {
    test(`is run again from its start when others got in its way (${state})`, async () => {
      const { engine, url, alice, bob } = await openScene()
      await ask(
        url,
        `CREATE SEQUENCE mesh.attempt;
         CREATE FUNCTION get_in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
           IF nextval('mesh.attempt') <= 3 THEN RAISE 'in the way' USING ERRCODE = '${state}'; END IF;
           RETURN NEW;
         END $$;
         CREATE TRIGGER get_in_the_way BEFORE INSERT ON mesh.message_history
           FOR EACH STATEMENT EXECUTE FUNCTION get_in_the_way()`,
      )
      onTestFinished(() => ask(url, 'DROP SEQUENCE mesh.attempt').then(() => undefined))
      const outcome = await acceptOne(engine, makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }))
      expect(outcome).toMatchObject({ kind: 'stored', historyId: 1 })
      expect(await ask(url, 'SELECT last_value::int AS attempts FROM mesh.attempt')).toEqual([{ attempts: 4 }])
      for (const table of acceptTables) expect(await engine.count(table)).toBe(1)
    })
  }

  test('is given up when they always do, leaves nothing, and the messages may be sent again', async () => {
    const { engine, url, alice, bob } = await openScene()
    await ask(
      url,
      `CREATE FUNCTION always() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '40001'; END $$;
       CREATE TRIGGER always BEFORE INSERT ON mesh.message_history FOR EACH ROW EXECUTE FUNCTION always()`,
    )
    const items = [1, 2].map(() => makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }))
    for (const outcome of await engine.store.acceptBatch(items)) expect(codeOf(outcome)).toBe('storage_unavailable')
    for (const table of acceptTables) expect(await engine.count(table)).toBe(0)
    await ask(url, 'DROP FUNCTION always CASCADE')
    const again = await engine.store.acceptBatch(items)
    expect(again.map(({ kind }) => kind)).toEqual(['stored', 'stored'])
  })

  test('for want of space says so, and goes through when there is space again', async () => {
    const { engine, url, alice, bob } = await openScene()
    await ask(
      url,
      `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full' USING ERRCODE = '53100'; END $$;
       CREATE TRIGGER full_disk BEFORE INSERT ON mesh.topic_message FOR EACH ROW EXECUTE FUNCTION full_disk()`,
    )
    const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
    expect(codeOf(await acceptOne(engine, item))).toBe('insufficient_storage')
    await ask(url, 'DROP FUNCTION full_disk CASCADE')
    expect(await acceptOne(engine, item)).toMatchObject({ kind: 'stored', historyId: 1 })
  })

  test('whose commit was done and its answer lost is known when the message comes again', async () => {
    const { engine, url, alice, bob } = await openScene()
    const proxy = await openProxy(url)
    const store = await openStore(proxy.url)
    const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
    await store.ping()
    void proxy.breakNextCommit({ moment: 'behind', meanwhile: async () => undefined })
    const [lost] = await store.acceptBatch([item])
    expect(codeOf(lost)).toBe('storage_unavailable')
    const [again] = await store.acceptBatch([{ ...item, brokerMessageId: engine.clock.nextId() }])
    expect(again).toMatchObject({ kind: 'known', accepted: { brokerMessageId: item.brokerMessageId, historyId: 1 } })
    for (const table of acceptTables) expect(await engine.count(table)).toBe(1)
  })

  test('because its connection was killed costs no message and stores none twice', async () => {
    const { engine, url, alice, bob } = await openScene()
    const store = await openStore(url)
    let sending = true
    const killer = (async () => {
      while (sending) {
        await ask(
          url,
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'claudemesh-broker' AND random() < 0.7`,
        )
      }
    })()
    let failures = 0
    for (let n = 0; n < 150; n += 1) {
      const item = makeItem(engine, alice, { kind: 'dm', ref: bob.memberId })
      await eventually('it is accepted', async () => {
        const [outcome] = await store.acceptBatch([item])
        if (outcome?.kind === 'stored' || outcome?.kind === 'known') return true
        expect(codeOf(outcome)).toBe('storage_unavailable')
        failures += 1
        return false
      })
    }
    sending = false
    await killer
    expect(failures, 'some were killed under way').toBeGreaterThan(0)
    for (const table of acceptTables) expect(await engine.count(table)).toBe(150)
    const [row] = await ask<{ last: string }>(url, 'SELECT max(history_id) AS last FROM mesh.message_history')
    expect(Number(row?.last)).toBe(150)
  })
})

describe('a batch', () => {
  test('takes as many round trips as one message does', async () => {
    const { engine, url, alice, bob } = await openScene()
    await subscribe(engine, bob, 'news')
    const pool = openPool(url)
    onTestFinished(() => pool.close())
    const rounds: number[][] = []
    for (const size of [1, 256]) {
      const items = Array.from(
        { length: size },
        (_, n): AcceptItem =>
          makeItem(engine, alice, n % 2 === 0 ? { kind: 'dm', ref: bob.memberId } : { kind: 'topic', ref: 'news' }),
      )
      const accepting = await count(pool, (session) => acceptAll(session, items))
      const repeating = await count(pool, (session) => acceptAll(session, items))
      const ids = await claim(engine, bob, { connectionId: 'one', itemsMax: size })
      expect(ids).toHaveLength(size)
      const acknowledged = ids.map((deliveryId) => ({ deliveryId, outcome: 'stored' as const }))
      const acknowledging = await count(pool, (session) =>
        acknowledgeAll(session, { member: bob, items: acknowledged, at: engine.clock.now() }),
      )
      rounds.push([accepting, repeating, acknowledging])
    }
    expect(rounds[1]).toEqual(rounds[0])
    console.log(`statements of an accept, a repeated accept and an acknowledgement: ${rounds[0]}`)
  })

  test('of more bytes than go into one transaction is accepted all the same, in order', async () => {
    const { engine, alice, bob } = await openScene()
    const text = 'x'.repeat(600_000)
    const items = Array.from({ length: 40 }, () => makeItem(engine, alice, { kind: 'dm', ref: bob.memberId }, { text }))
    const outcomes = await engine.store.acceptBatch(items)
    expect(outcomes.map((outcome) => (outcome.kind === 'stored' ? outcome.historyId : 0))).toEqual(
      items.map((_item, index) => index + 1),
    )
  })
})

/** @returns how many statements went to the database, beside the bounds of the transaction */
async function count(pool: Pool, run: (session: Session) => Promise<unknown>): Promise<number> {
  let statements = 0
  await pool.write((session) =>
    run({
      query: (statement, values) => {
        statements += 1
        return session.query(statement, values)
      },
      execute: (statement, values) => {
        statements += 1
        return session.execute(statement, values)
      },
    }),
  )
  return statements
}

function codeOf(outcome: AcceptOutcome | undefined): unknown {
  const error = outcome?.kind === 'failed' ? outcome.error : null
  return error instanceof Error && 'code' in error ? error.code : outcome
}
