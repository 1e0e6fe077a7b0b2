import assert from 'node:assert/strict'
import { crashPoint } from '@claudemesh/storage'
import type { Session } from '@claudemesh/storage/postgres'
import type { MemberKey } from '../../rows.ts'
import type { Retention } from '../../store.ts'
import { lockMeshes } from '../statements.ts'
import { deleteOldMessages, deleteOldReceipts, listDueMeshes, listOldest, type OldMessage } from './statements.ts'

const dayMs = 86_400_000

/**
 * Deletes what is past its retention, oldest first, until `rowsMax` rows are gone. Whoever waited for a message is told
 * to its sender in the same transaction. A mesh with nothing to delete is not locked.
 */
export async function expireMessages(
  session: Session,
  options: Retention,
): Promise<{ readonly rows: number; readonly notified: readonly MemberKey[] }> {
  const notified: MemberKey[] = []
  let rows = 0
  for (const { meshId, before } of await listDueMeshes(session, options)) {
    if (rows >= options.rowsMax) break
    await lockMeshes(session, [meshId])
    const oldest = await listOldest(session, { meshId, latest: options.now + dayMs, limit: options.rowsMax })
    const messages = takeOld(oldest, { before, rowsMax: options.rowsMax - rows })
    if (messages.length > 0) {
      const gone = await deleteOldMessages(session, { meshId, messages, at: options.now })
      assert.equal(gone.messages, messages.length, 'nobody else deletes messages of a mesh that is locked')
      rows += gone.deliveries + gone.messages
      for (const memberId of gone.notified) notified.push({ meshId, memberId })
    }
    rows += await deleteOldReceipts(session, { meshId, before, limit: Math.max(0, options.rowsMax - rows) })
  }
  crashPoint('broker.retention.before-commit')
  return { rows, notified }
}

/** The history is in order of acceptance and has no gap: the first that may stay ends it. */
function takeOld(
  oldest: readonly OldMessage[],
  { before, rowsMax }: { readonly before: number; readonly rowsMax: number },
): readonly OldMessage[] {
  let rows = 0
  const end = oldest.findIndex(({ acceptedAt, waiting }) => {
    if (acceptedAt >= before || rows >= rowsMax) return true
    rows += 1 + waiting
    return false
  })
  return end === -1 ? oldest : oldest.slice(0, end)
}
