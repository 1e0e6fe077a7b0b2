import assert from 'node:assert/strict'
import type { Session } from '@claudemesh/storage/postgres'
import { mayAppend } from '../../judge-lease.ts'
import type { SpaceAppend } from '../../spaces.ts'
import type { AcceptItem, SpaceAppendOutcome } from '../../store.ts'
import { acceptAll } from '../accept/accept.ts'
import { readBack } from '../accept/statements.ts'
import { lockMeshes } from '../statements.ts'
import { findLease, moveHead } from './statements.ts'

/** Under the lock of the mesh, as everything that changes a lease. */
export async function appendToSpace(
  session: Session,
  item: AcceptItem,
  append: SpaceAppend,
): Promise<SpaceAppendOutcome> {
  await lockMeshes(session, [item.meshId])
  const [accepted = null] = await readBack(session, [item])
  if (accepted !== null) return { kind: 'known', accepted }
  const key = { meshId: item.meshId, space: append.space }
  if (!mayAppend(await findLease(session, key), item.sender, append)) return { kind: 'lease_lost' }
  const [outcome] = await acceptAll(session, [item])
  assert(outcome !== undefined, 'there is an outcome for every item')
  if (outcome.kind === 'stored') {
    const moved = await moveHead(session, key, { from: append.after, to: append.head })
    assert.equal(moved, 1, 'the head was just found there')
  }
  return outcome
}
