/** Members that send work to a queue and do it, call by call. */
import type { QueueItem, RequestParams, RequestResult } from '@claudemesh/protocol'
import { message, type RawMember } from './raw-member.ts'

export const jobs = { kind: 'queue', ref: 'jobs' } as const

type TakeParams = Omit<RequestParams<'queues.take'>, 'queue'>

/** Takes from the queue `jobs`: one message, for a minute, without waiting, unless told otherwise. */
export async function take(member: RawMember, params: Partial<TakeParams> = {}): Promise<readonly QueueItem[]> {
  const { items } = await member.request('queues.take', {
    queue: 'jobs',
    limit: 1,
    lease_ms: 60_000,
    wait_ms: 0,
    ...params,
  })
  return items
}

/** Takes one message, waiting for it for a few seconds. */
export async function takeOne(member: RawMember, params: Partial<TakeParams> = {}): Promise<QueueItem> {
  const [item] = await take(member, { wait_ms: 8_000, ...params })
  if (item === undefined) throw new Error('there was nothing to take')
  return item
}

type Settling =
  | { readonly action: 'ack' }
  | { readonly action: 'nack'; readonly delay_ms?: number; readonly reason?: string }
  | { readonly action: 'extend'; readonly lease_ms: number }

/** @returns the outcomes, in the order of the items */
export async function settle(
  member: RawMember,
  items: readonly Pick<QueueItem, 'broker_message_id' | 'lease_id'>[],
  settling: Settling = { action: 'ack' },
): Promise<RequestResult<'queues.settle'>['items'][number]['outcome'][]> {
  const answer = await member.request('queues.settle', {
    items: items.map(({ broker_message_id, lease_id }) => ({ broker_message_id, lease_id, ...settling })),
  })
  return answer.items.map(({ outcome }) => outcome)
}

/** Sends one message to the queue for each text, and fails when one is not accepted. @returns their ids */
export async function enqueue(
  member: RawMember,
  texts: readonly string[],
  more: Omit<Parameters<typeof message>[0], 'to' | 'text'> = {},
): Promise<readonly string[]> {
  const results = await member.post(texts.map((text) => message({ to: jobs, text, ...more })))
  return results.map((result) => {
    if (!('broker_message_id' in result)) throw new Error(`not accepted: ${JSON.stringify(result)}`)
    return result.broker_message_id
  })
}
