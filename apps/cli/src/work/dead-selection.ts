/** Which dead messages `queue dead requeue` and `queue dead drop` mean. */
import type { Queues } from '@claudemesh/client'
import { invalidUsage } from '../flags.ts'

export interface DeadSelection {
  readonly queue: string
  /** Null: all of them. */
  readonly ids: readonly string[] | null
}

/** @throws MeshError invalid_usage */
export function readDeadSelection(args: readonly string[], isAll: boolean): DeadSelection {
  const [queue, ...ids] = args
  if (queue === undefined) throw invalidUsage('the queue is missing')
  if (isAll === ids.length > 0) {
    throw invalidUsage(
      'name the messages by their ids, or all of them with --all',
      `See \`claudemesh queue dead list ${queue}\`.`,
    )
  }
  return { queue, ids: isAll ? null : ids }
}

const idsPerCallMax = 256

/** Applies a call to the selected messages, batch by batch. @returns the sum of what the calls say */
export async function eachBatch(
  queues: Queues,
  selection: DeadSelection,
  call: (ids: readonly string[]) => Promise<number>,
): Promise<number> {
  const ids = selection.ids ?? (await listIds(queues, selection.queue))
  let count = 0
  for (let first = 0; first < ids.length; first += idsPerCallMax) {
    count += await call(ids.slice(first, first + idsPerCallMax))
  }
  return count
}

async function listIds(queues: Queues, queue: string): Promise<readonly string[]> {
  const ids: string[] = []
  for await (const { id } of queues.eachDead(queue)) ids.push(id)
  return ids
}
