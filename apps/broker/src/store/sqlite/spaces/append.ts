import assert from 'node:assert/strict'
import type { Tx } from '@claudemesh/storage'
import { mayAppend } from '../../judge-lease.ts'
import type { SpaceAppend } from '../../spaces.ts'
import type { AcceptItem, SpaceAppendOutcome } from '../../store.ts'
import { type AcceptTables, acceptAll } from '../accept/accept.ts'
import type { SpaceStatements } from './statements.ts'

/** A throw leaves the transaction to be rolled back: nothing is kept. */
export function appendToSpace(
  tx: Tx,
  statements: AcceptTables & { readonly spaces: SpaceStatements },
  { item, append }: { readonly item: AcceptItem; readonly append: SpaceAppend },
): SpaceAppendOutcome {
  const { accept, spaces } = statements
  const accepted = accept.findAccepted(item)
  if (accepted !== null) return { kind: 'known', accepted }
  const key = { meshId: item.meshId, space: append.space }
  if (!mayAppend(spaces.find(key), item.sender, append)) return { kind: 'lease_lost' }
  const [outcome] = acceptAll(tx, statements, [item])
  assert(outcome !== undefined, 'there is an outcome for every item')
  if (outcome.kind === 'stored') {
    assert.equal(spaces.moveHead(key, append.after, append.head), 1, 'the head was just found there')
  }
  return outcome
}
