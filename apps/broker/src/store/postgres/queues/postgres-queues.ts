import { crashPoint } from '@claudemesh/storage'
import type { Pool, Session } from '@claudemesh/storage/postgres'
import type { QueueRefusal, Queues, SettleItem, TakeOutcome, TakeRequest } from '../../queues.ts'
import type { MemberKey } from '../../rows.ts'
import { consume, stopConsuming } from './consumers.ts'
import { pageDead, settleDead } from './dead/statements.ts'
import { findTerms, holdConsumer, listConsumers, pageQueues } from './statements.ts'
import { buryExhausted, settleAll } from './work/settle.ts'
import { bringNear, countWork, findNextAt, isDue, leaseNext, undoLease } from './work/statements.ts'

/**
 * The work queues of the engine for a team. Taking does not wait for the lock of the mesh: consumers take side by side,
 * each what the others are not just taking.
 */
export class PostgresQueues implements Queues {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  page(key: MemberKey, page: Parameters<Queues['page']>[1]) {
    return this.#pool.read((session) => pageQueues(session, key, page))
  }

  consume(key: MemberKey, change: Parameters<Queues['consume']>[1]) {
    return this.#pool.write((session) => consume(session, key, change))
  }

  leave(key: MemberKey, change: { queue: string; now: number }) {
    return this.#pool.write((session) => stopConsuming(session, key, change))
  }

  listConsumers(key: Parameters<Queues['listConsumers']>[0]) {
    return this.#pool.read((session) => listConsumers(session, key))
  }

  /** Nothing is written when nothing is there to be taken: whoever waits looks often. */
  async take(request: TakeRequest): Promise<TakeOutcome> {
    const nothing = await this.#pool.read((session) => findNothingDue(session, request))
    if (nothing !== null) return nothing
    const outcome = await this.#pool.write((session) => take(session, request))
    crashPoint('broker.take.after-commit')
    return outcome
  }

  untake(key: MemberKey, taken: { queue: string; leaseId: string }) {
    return this.#pool.write((session) => undoLease(session, key, taken))
  }

  async settle(member: MemberKey, settling: { items: readonly SettleItem[]; now: number }) {
    const outcome = await this.#pool.write((session) => settleAll(session, { member, ...settling }))
    crashPoint('broker.settle.after-commit')
    return outcome
  }

  pageDead(key: MemberKey, page: Parameters<Queues['pageDead']>[1]) {
    return this.#pool.read(async (session) => {
      const refusal = await judgeConsumer(session, key, page.queue)
      return refusal === null ? { kind: 'page' as const, ...(await pageDead(session, key, page)) } : { kind: refusal }
    })
  }

  requeueDead(key: MemberKey, selection: Parameters<Queues['requeueDead']>[1]) {
    return this.#settleDead(key, { ...selection, action: 'requeue' })
  }

  dropDead(key: MemberKey, selection: Parameters<Queues['dropDead']>[1]) {
    return this.#settleDead(key, { ...selection, action: 'drop' })
  }

  bringNear(options: { latest: number; now: number; rowsMax: number }) {
    return this.#pool.write((session) => bringNear(session, options))
  }

  buryExhausted(options: { now: number; rowsMax: number }) {
    return this.#pool.write((session) => buryExhausted(session, options))
  }

  count() {
    return this.#pool.read(countWork)
  }

  #settleDead(
    key: MemberKey,
    selection: Parameters<Queues['requeueDead']>[1] & { readonly action: 'requeue' | 'drop' },
  ): Promise<number | QueueRefusal> {
    const { queue, brokerMessageIds: ids, action, now } = selection
    return this.#pool.write(async (session) => {
      const refusal = await judgeConsumer(session, key, queue)
      return refusal ?? settleDead(session, { meshId: key.meshId, queue }, { action, ids, now })
    })
  }
}

/** What a take comes to when nothing can be taken; null: something can. */
async function findNothingDue(session: Session, request: TakeRequest): Promise<TakeOutcome | null> {
  const refusal = await judgeConsumer(session, request, request.queue)
  if (refusal !== null) return { kind: refusal }
  if (await isDue(session, request)) return null
  return { kind: 'taken', messages: [], nextAt: await findNextAt(session, request) }
}

async function take(session: Session, request: TakeRequest): Promise<TakeOutcome> {
  const terms = await findTerms(session, request, request.queue)
  if (terms === null) return { kind: 'queue_unknown' }
  // Whoever leaves, or is revoked, waits for this, and then gives back what is leased here.
  if (!(await holdConsumer(session, request, request.queue))) return { kind: 'queue_not_consumed' }
  const messages = await leaseNext(session, request, terms.maxDeliveries)
  crashPoint('broker.take.before-commit')
  return { kind: 'taken', messages, nextAt: messages.length > 0 ? null : await findNextAt(session, request) }
}

/** Only a consumer may see or change what is in a queue. */
async function judgeConsumer(session: Session, key: MemberKey, queue: string): Promise<QueueRefusal | null> {
  const terms = await findTerms(session, key, queue)
  if (terms === null) return 'queue_unknown'
  return terms.consuming ? null : 'queue_not_consumed'
}
