import type { Queues, SettleItem, TakeOutcome, TakeRequest } from '../../queues.ts'
import type { MemberKey } from '../../rows.ts'
import type { DeliveryStatements } from '../deliveries/statements.ts'
import type { DirectoryStatements } from '../membership/statements.ts'
import type { Counters } from '../statements.ts'
import type { Writer } from '../writer.ts'
import { consume, stopConsuming } from './consumers.ts'
import type { QueueStatements } from './statements.ts'
import { buryExhausted, settleAll, settleDead } from './work/settle.ts'
import type { WorkStatements } from './work/statements.ts'
import { findNothingDue, readDead, take } from './work/take.ts'

interface Statements {
  readonly queues: QueueStatements
  readonly work: WorkStatements
  readonly deliveries: DeliveryStatements
  readonly directory: DirectoryStatements
  readonly counters: Counters
}

/** The work queues of the embedded engine. */
export class SqliteQueues implements Queues {
  readonly #statements: Statements
  readonly #writer: Writer
  readonly #read: <T>(run: () => T) => T

  /** @param read runs what only reads */
  constructor(statements: Statements, writer: Writer, read: <T>(run: () => T) => T) {
    this.#statements = statements
    this.#writer = writer
    this.#read = read
  }

  async page(key: MemberKey, page: Parameters<Queues['page']>[1]) {
    return this.#read(() => this.#statements.queues.pageQueues(key, page))
  }

  consume(key: MemberKey, change: Parameters<Queues['consume']>[1]) {
    return this.#writer.write(() => consume(this.#statements, key, change))
  }

  leave(key: MemberKey, change: { queue: string; now: number }) {
    return this.#writer.write(() => stopConsuming(this.#statements, key, change))
  }

  async listConsumers(key: Parameters<Queues['listConsumers']>[0]) {
    const { queues } = this.#statements
    return this.#read(() => {
      const terms = queues.findTerms(key.meshId, key.queue)
      return terms === null ? null : { recipientsEpoch: terms.recipientsEpoch, members: queues.listConsumers(key) }
    })
  }

  /** Nothing is written when nothing is there to be taken: whoever waits looks often. */
  async take(request: TakeRequest): Promise<TakeOutcome> {
    const nothing = this.#read(() => findNothingDue(this.#statements, request))
    return nothing ?? this.#writer.write((tx) => take(tx, this.#statements, request))
  }

  untake(key: MemberKey, taken: { queue: string; leaseId: string }): Promise<void> {
    return this.#writer.write(() => void this.#statements.work.unlease(key, taken))
  }

  settle(member: MemberKey, settling: { items: readonly SettleItem[]; now: number }) {
    return this.#writer.write((tx) => settleAll(tx, this.#statements, { member, ...settling }))
  }

  async pageDead(key: MemberKey, page: Parameters<Queues['pageDead']>[1]) {
    return this.#read(() => readDead(this.#statements, key, page))
  }

  requeueDead(key: MemberKey, selection: Parameters<Queues['requeueDead']>[1]) {
    return this.#writer.write(() => settleDead(this.#statements, key, { ...selection, action: 'requeue' }))
  }

  dropDead(key: MemberKey, selection: Parameters<Queues['dropDead']>[1]) {
    return this.#writer.write(() => settleDead(this.#statements, key, { ...selection, action: 'drop' }))
  }

  bringNear({ latest, now, rowsMax }: { latest: number; now: number; rowsMax: number }) {
    return this.#writer.write(() => this.#statements.work.bringNear({ latest, now, limit: rowsMax }))
  }

  buryExhausted(options: { now: number; rowsMax: number }) {
    return this.#writer.write(() => buryExhausted(this.#statements, options))
  }

  async count() {
    return this.#read(() => this.#statements.work.count())
  }
}
