/**
 * Work queues as this member consumes them: takes messages under a lease, opens them, settles them.
 *
 * 1. Nothing of it is kept here: what is leased, to whom and until when is the broker's, and outlives this process.
 * 2. A message that cannot be opened is given to no worker. It goes back as `undecryptable`, for another consumer or for
 *    a later time, and is counted.
 * 3. What was taken for somebody who has gone goes back at once, and that was no delivery.
 */
import {
  type DeadMessage,
  MeshError,
  type Operation,
  type Queue,
  type QueueDeadResponse,
  type QueueItem,
  type QueueList,
  type QueueSettleResponse,
  type QueueTakeResponse,
  type RequestParams,
  type RequestResult,
  type Settlement,
} from '@claudemesh/protocol'
import type { UnopenedReason } from '../inbox/inbox.ts'
import { takesWaitingMax, undecryptableDelayMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { OpenedWork, WorkOpener } from './opener.ts'
import { toDeadMessage, toWorkMessage } from './views.ts'

type Ask = <O extends Operation>(op: O, params: RequestParams<O>) => Promise<RequestResult<O>>

export interface WorkQueuesOptions {
  readonly request: Ask
  readonly opener: WorkOpener
  /** The name of a member, if the directory has it. */
  readonly nameOf: (memberId: string) => string | null
  readonly monotonicMs: () => number
  readonly log: Log
}

export class WorkQueues {
  readonly #options: WorkQueuesOptions
  readonly #undecryptable = new Map<UnopenedReason, number>()
  #takesWaiting = 0

  constructor(options: WorkQueuesOptions) {
    this.#options = options
  }

  /** Takes since the start of what could not be opened, by the reason. */
  get undecryptable(): ReadonlyMap<UnopenedReason, number> {
    return this.#undecryptable
  }

  /** @throws MeshError when the broker does not answer, as every call here */
  async list(params: RequestParams<'queues.list'>): Promise<QueueList> {
    return await this.#ask('queues.list', params)
  }

  /** This member is a consumer from now on; the first one makes the queue. */
  async consume(params: RequestParams<'queues.consume'>): Promise<Queue> {
    return (await this.#ask('queues.consume', params)).queue
  }

  /** This member is no consumer any more; what it has leased goes back. */
  async leave(queue: string): Promise<Queue> {
    return (await this.#ask('queues.leave', { queue })).queue
  }

  /**
   * Leases messages, and waits for the first one.
   *
   * @param signal ends the wait: nobody wants the answer any more
   */
  async take(params: RequestParams<'queues.take'>, signal: AbortSignal): Promise<QueueTakeResponse> {
    if (this.#takesWaiting >= takesWaitingMax) {
      throw new MeshError('daemon_busy', { detail: `${takesWaitingMax} requests wait for work already` })
    }
    this.#takesWaiting += 1
    try {
      return await this.#takeOpened(params, signal)
    } finally {
      this.#takesWaiting -= 1
    }
  }

  /** One outcome per item, in order. */
  async settle(items: readonly Settlement[]): Promise<QueueSettleResponse> {
    const answer = await this.#ask('queues.settle', { items: [...items] })
    return { items: answer.items.map(({ broker_message_id: id, ...outcome }) => ({ id, ...outcome })) }
  }

  /** Messages that were given up, those included that cannot be opened. */
  async listDead(params: RequestParams<'queues.dead'>): Promise<QueueDeadResponse> {
    const { items, next } = await this.#ask('queues.dead', params)
    const opened = await this.#options.opener.open(params.queue, items)
    const messages = opened.map(({ item, content }): DeadMessage => {
      const { nameOf } = this.#options
      const names = { senderName: nameOf(item.sender), consumerName: nameOf(item.consumer) }
      return toDeadMessage(item, { ...names, queue: params.queue, content })
    })
    return { messages, next }
  }

  /** @returns how many of them were dead, and wait again */
  async requeue(queue: string, ids: readonly string[]): Promise<number> {
    return (await this.#ask('queues.requeue', { queue, broker_message_ids: [...ids] })).requeued
  }

  /** @returns how many of them were dead, and are gone */
  async drop(queue: string, ids: readonly string[]): Promise<number> {
    return (await this.#ask('queues.drop', { queue, broker_message_ids: [...ids] })).dropped
  }

  /** Waits on behind messages that cannot be opened. */
  async #takeOpened(params: RequestParams<'queues.take'>, signal: AbortSignal): Promise<QueueTakeResponse> {
    const { monotonicMs, nameOf } = this.#options
    const waitUntil = monotonicMs() + params.wait_ms
    let undecryptable = 0
    for (;;) {
      const waitMs = Math.max(0, Math.floor(waitUntil - monotonicMs()))
      const items = await this.#takeFor(signal, { ...params, wait_ms: Math.min(params.wait_ms, waitMs) })
      const opened = await this.#options.opener.open(params.queue, items)
      const unopened = opened.filter(({ content }) => !content.opened)
      undecryptable += unopened.length
      if (unopened.length > 0) await this.#refuse(unopened)
      const messages = opened.flatMap(({ item, content }) =>
        content.opened ? [toWorkMessage(item, { queue: params.queue, senderName: nameOf(item.sender), content })] : [],
      )
      const isOver = items.length === 0 || waitUntil <= monotonicMs() || signal.aborted
      if (messages.length > 0 || isOver) return { messages, undecryptable }
    }
  }

  async #takeFor(signal: AbortSignal, params: RequestParams<'queues.take'>): Promise<readonly QueueItem[]> {
    if (signal.aborted) return []
    const taking = this.#ask('queues.take', params)
    let giveUp: () => void = () => undefined
    const gone = new Promise<'gone'>((resolve) => {
      giveUp = () => resolve('gone')
    })
    signal.addEventListener('abort', giveUp)
    try {
      const answer = await Promise.race([taking, gone])
      if (answer !== 'gone') return answer.items
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
    void this.#undo(params.queue, taking)
    return []
  }

  /** Whatever comes of a take that nobody waits for any more was not taken: no worker has seen it. Never rejects. */
  async #undo(queue: string, taking: Promise<RequestResult<'queues.take'>>): Promise<void> {
    try {
      const { items } = await taking
      const leases = new Set(items.map((item) => item.lease_id))
      for (const leaseId of leases) await this.#ask('queues.untake', { queue, lease_id: leaseId })
    } catch (error) {
      // The lease ends by itself.
      if (!(error instanceof MeshError)) throw error
      this.#options.log.debug({ err: error }, 'take_not_undone')
    }
  }

  /** Never rejects: a message that was not returned comes back when its lease is over. */
  async #refuse(unopened: readonly OpenedWork<QueueItem>[]): Promise<void> {
    const { log } = this.#options
    for (const { item, content } of unopened) {
      if (content.opened) continue
      const { reason } = content
      this.#undecryptable.set(reason, (this.#undecryptable.get(reason) ?? 0) + 1)
      const { broker_message_id: id, sender, deliveries } = item
      log.warn({ id, sender, deliveries, reason }, 'work_not_opened')
    }
    try {
      await this.settle(
        unopened.map(({ item }) => ({
          ...leaseOf(item),
          ...returned('undecryptable', item.deliveries * undecryptableDelayMs),
        })),
      )
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      log.warn({ err: error }, 'work_not_returned')
    }
  }

  async #ask<O extends Operation>(op: O, params: RequestParams<O>): Promise<RequestResult<O>> {
    try {
      return await this.#options.request(op, params)
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'not_found') throw error
      throw new MeshError('destination_unsupported', { detail: 'this broker has no work queues', cause: error })
    }
  }
}

function leaseOf(item: QueueItem) {
  return { broker_message_id: item.broker_message_id, lease_id: item.lease_id }
}

function returned(reason: string, delayMs: number) {
  return { action: 'nack', delay_ms: delayMs, reason } as const
}
