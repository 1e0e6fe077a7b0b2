/**
 * B2 and B3 of accepting (02 §9) on PostgreSQL: four statements, whatever the number of items.
 *
 * The lock of a mesh comes first, and whoever changes members or subscriptions takes it too. Until the commit nothing can
 * therefore happen between a look and the write that follows from it, and the numbers of the history become visible in
 * their order. As on the embedded engine the destination is judged before the id is claimed, so that a rejected item
 * takes no number; and an id that is taken goes before any rejection: whoever lost a race for it must hear of the
 * message that won, not of what has changed since.
 */
import assert from 'node:assert/strict'
import { crashPoint } from '@claudemesh/storage'
import type { Session } from '@claudemesh/storage/postgres'
import type { Accepted, MessageKey } from '../../rows.ts'
import type { AcceptItem, AcceptOutcome } from '../../store.ts'
import { lockMeshes } from '../statements.ts'
import { type Address, findAddresses, insertAll, readBack, type Stored } from './statements.ts'

/** Accepts items in their order. A throw leaves the transaction to be rolled back: nothing of any item is kept. */
export async function acceptAll(session: Session, items: readonly AcceptItem[]): Promise<readonly AcceptOutcome[]> {
  await lockMeshes(
    session,
    items.map((item) => item.meshId),
  )
  const known = await readKnown(session, items)
  const addresses = await findAddresses(session, items)
  const fresh: AcceptItem[] = []
  const claimed = new Set<string>()
  const decisions = items.map((item, index): AcceptOutcome | 'stored' | 'repeated' => {
    const key = keyOf(item)
    const accepted = known.get(key)
    if (accepted !== undefined) return { kind: 'known', accepted }
    if (claimed.has(key)) return 'repeated'
    const address = addresses[index]
    assert(address !== undefined, 'there is an address for every item')
    const refusal = judge(item, address)
    if (refusal !== null) return refusal
    claimed.add(key)
    fresh.push(item)
    return 'stored'
  })
  const stored = await storeFresh(session, fresh)
  crashPoint('broker.accept.before-commit')
  return decisions.map((decision, index) => {
    if (decision !== 'stored' && decision !== 'repeated') return decision
    const item = items[index]
    const first = item === undefined ? undefined : stored.get(keyOf(item))
    assert(first !== undefined, 'what was claimed is stored')
    if (decision === 'repeated') return { kind: 'known', accepted: asAccepted(first) }
    return { kind: 'stored', brokerMessageId: first.item.brokerMessageId, ...first.row }
  })
}

interface StoredItem {
  readonly item: AcceptItem
  readonly row: Stored
}

async function storeFresh(session: Session, fresh: readonly AcceptItem[]): Promise<ReadonlyMap<string, StoredItem>> {
  const rows = fresh.length === 0 ? [] : await insertAll(session, fresh)
  assert.equal(rows.length, fresh.length, 'an id cannot be claimed by anybody else while its mesh is locked')
  if (fresh.length > 0) crashPoint('broker.accept.after-message')
  return new Map(
    fresh.map((item, index) => {
      const row = rows[index]
      assert(row !== undefined, 'there is a row for every item')
      return [keyOf(item), { item, row }]
    }),
  )
}

/** Rows are locked in the order of their keys, so that no two batches wait for each other. */
async function readKnown(session: Session, items: readonly AcceptItem[]): Promise<ReadonlyMap<string, Accepted>> {
  const keys = [...new Map(items.map((item) => [keyOf(item), item])).entries()].sort(([left], [right]) =>
    left < right ? -1 : 1,
  )
  const found = await readBack(
    session,
    keys.map(([, item]) => item),
  )
  const known = new Map<string, Accepted>()
  for (const [index, [key]] of keys.entries()) {
    const accepted = found[index]
    if (accepted !== undefined && accepted !== null) known.set(key, accepted)
  }
  return known
}

/** The sender's connection was good when the message came in; it may have been revoked since. */
function judge(item: AcceptItem, address: Address): AcceptOutcome | null {
  const { senderStatus, recipientStatus, recipientsEpoch, consumers } = address
  if (senderStatus !== 'active') return { kind: senderStatus === 'revoked' ? 'sender_revoked' : 'sender_left' }
  if (item.destination.kind === 'dm') {
    if (recipientStatus === 'active') return null
    return { kind: recipientStatus === 'revoked' ? 'recipient_revoked' : 'recipient_unknown' }
  }
  const { kind } = item.destination
  if (recipientsEpoch === null) return { kind: kind === 'queue' ? 'queue_unknown' : 'topic_unknown' }
  // What nobody consumes now nobody who comes later could open.
  const isReached = kind === 'topic' || (consumers ?? 0) > 0
  if (isReached && (item.recipientsEpoch ?? recipientsEpoch) === recipientsEpoch) return null
  return { kind: 'recipients_stale', recipientsEpoch }
}

/** The item that an id was first used for in this very batch. */
function asAccepted({ item, row }: StoredItem): Accepted {
  return {
    brokerMessageId: item.brokerMessageId,
    historyId: row.historyId,
    fingerprint: item.fingerprint,
    recipientCount: item.destination.kind === 'queue' ? 1 : row.recipients.length,
    firstSeenAt: item.acceptedAt,
    historyAvailable: true,
  }
}

function keyOf({ meshId, sender, clientMessageId }: MessageKey): string {
  return `${meshId} ${sender} ${clientMessageId}`
}
