/** What is particular in reading logs: a space may have none yet, and a log may be damaged. */
import type { SharedDecisionLog } from '@claudemesh/decisions'
import { MeshError } from '@claudemesh/protocol'

/** What is read of a log; nothing of a space that has none yet. @throws MeshError what `source` throws */
export async function* orNothing<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* source
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'space_unknown') throw error
  }
}

/** A damaged log is one, too. */
export async function hasEvents(log: SharedDecisionLog, space: string): Promise<boolean> {
  try {
    return (await log.head(space)).oid !== null
  } catch (error) {
    if (error instanceof MeshError && isDamage(error)) return true
    throw error
  }
}

/** Why a log cannot be read to its end: not by itself a reason that others cannot. */
export function isDamage({ code }: MeshError): boolean {
  return code === 'log_corrupt' || code === 'history_rewritten'
}
