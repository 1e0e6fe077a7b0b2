/**
 * What an operation reads is what it is about, however much waits beside it. Members do not wait for statistics: what
 * they ask for is quick, too, when tables have grown since they were last analysed, and look empty to the planner. Jobs
 * may rely on them.
 */

import { prepare, type Session } from '@claudemesh/storage/postgres'
import { expect, onTestFinished, test } from 'vitest'
import { acceptAll } from '../../apps/broker/src/store/postgres/accept/accept.ts'
import {
  acknowledgeAll,
  claimNext,
  recordReadMarks,
} from '../../apps/broker/src/store/postgres/deliveries/deliveries.ts'
import { readHistory } from '../../apps/broker/src/store/postgres/deliveries/statements.ts'
import { leave } from '../../apps/broker/src/store/postgres/departure/depart.ts'
import { openPool } from '../../apps/broker/src/store/postgres/open-pool.ts'
import { expireMessages } from '../../apps/broker/src/store/postgres/retention/expire-messages.ts'
import { ask } from '../support/postgres.ts'
import { openPostgres } from './engines.ts'
import { makeItem, openWithMembers, sendMany, subscribe } from './scenario.ts'

const backlog = 6_000
const items = 100
/** Each of these rows leads to a few others: a message, its receipt, the entries of its indexes. */
const rowsMax = items * 10

const selectRowsRead = prepare(
  'SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS rows FROM pg_stat_xact_user_tables',
)

for (const analysed of [false, true]) {
  test(`no operation on a hundred rows reads thousands of others (${analysed ? '' : 'not '}analysed)`, async () => {
    const read = await measureAll(analysed)
    console.log(`rows read for ${items} of ${2 * backlog}: ${JSON.stringify(read)}`)
    const measured = Object.entries(read).filter(([name]) => analysed || name !== 'retention')
    expect(measured.filter(([, rows]) => !(rows <= rowsMax))).toEqual([])
  })
}

/** @returns how many rows each operation read */
async function measureAll(analysed: boolean): Promise<Readonly<Record<string, number>>> {
  const { engine, alice, bob, carol } = await openWithMembers(openPostgres)
  if (!('databaseUrl' in engine.database)) throw new Error('this engine has a database')
  const pool = openPool(engine.database.databaseUrl)
  onTestFinished(() => pool.close())
  await subscribe(engine, bob, 'news')
  for (const to of [bob, carol]) {
    for (let sent = 0; sent < backlog; sent += 500) await sendMany(engine, { from: alice, to, count: 500 })
  }
  if (analysed) await ask(engine.database.databaseUrl, 'ANALYZE')
  const measure = (run: (session: Session) => Promise<unknown>): Promise<number> =>
    pool.write(async (session) => {
      const before = await rowsRead(session)
      await run(session)
      return (await rowsRead(session)) - before
    })

  const sends = Array.from({ length: items }, (_, n) =>
    makeItem(engine, alice, n % 2 === 0 ? { kind: 'dm', ref: bob.memberId } : { kind: 'topic', ref: 'news' }),
  )
  const now = engine.clock.now()
  const request = { ...bob, connectionId: 'one', leaseMs: 30_000, itemsMax: items, bytesMax: 1_000_000, now }
  const { messages } = await engine.store.pageHistory(bob, { after: 0, since: 0, limit: items, bytesMax: 1_000_000 })
  const marks = messages.map(({ brokerMessageId }) => ({ brokerMessageId, at: now }))
  const acknowledged = Array.from({ length: items }, (_, n) => ({ deliveryId: n + 1, outcome: 'stored' as const }))
  const later = now + 40 * 86_400_000
  const page = { after: backlog / 2, since: 0, limit: items, bytesMax: 1_000_000 }
  return {
    accept: await measure((session) => acceptAll(session, sends)),
    'accept again': await measure((session) => acceptAll(session, sends)),
    claim: await measure((session) => claimNext(session, request)),
    'claim the next': await measure((session) => claimNext(session, request)),
    acknowledge: await measure((session) => acknowledgeAll(session, { member: bob, items: acknowledged, at: now })),
    'record reading': await measure((session) => recordReadMarks(session, { member: bob, marks, now })),
    'page history': await measure((session) => readHistory(session, bob, page)),
    retention: await measure((session) =>
      expireMessages(session, { now: later, messageRetentionDays: 30, rowsMax: items }),
    ),
    leave: await measure((session) => leave(session, carol, { at: now, rowsMax: items, leaseEnded: false })),
  }
}

/** Since some time before: only differences mean anything. */
async function rowsRead(session: Session): Promise<number> {
  const [row] = await session.query<{ rows: number }>(selectRowsRead)
  return row?.rows ?? Number.NaN
}
