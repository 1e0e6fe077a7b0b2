/** What a node does with what another one has told. */
import type { Note } from '../cluster/note.ts'
import type { Deliverer } from '../deliver/deliver.ts'
import { toMemberRecord } from '../requests/members.ts'
import type { QueueWaits } from '../requests/queue-waits.ts'
import type { Store } from '../store/store.ts'
import type { Connections } from './connections.ts'

export interface NoteReceivers {
  readonly connections: Connections
  readonly deliverer: Deliverer
  readonly queueWaits: QueueWaits
  readonly store: Pick<Store, 'findMember' | 'findRevocations'>
  readonly report: (error: unknown) => void
}

export function receiveNote(receivers: NoteReceivers, note: Note): void {
  const { connections, deliverer, queueWaits } = receivers
  switch (note.kind) {
    case 'wake':
      for (const member of note.members) deliverer.wake(member)
      return
    case 'queue':
      queueWaits.wake(note, note.messages)
      return
    case 'queues':
      queueWaits.wakeMesh(note.meshId)
      return
    case 'close':
      connections.end(note.connectionId, note.ending)
      return
    case 'gone':
      if (note.ending === 'normal') connections.finish(note, note.ending)
      else connections.close(note, note.ending)
      return
    case 'member':
      tellMember(receivers, note).catch(receivers.report)
      return
    case 'event':
      connections.broadcast(note.meshId, [note.event])
      return
    default:
      note satisfies never
  }
}

/**
 * Notes may have been lost. Of what only events tell, the list in force is told again: whoever missed it would go on
 * believing somebody who is revoked. Everything else is read anew when it is needed.
 */
export async function tellRevocations({ connections, store }: NoteReceivers): Promise<void> {
  for (const meshId of connections.meshIds) {
    const number = (await store.findRevocations(meshId))?.list.number
    if (number !== undefined) connections.broadcast(meshId, [{ kind: 'revocations', number }])
  }
}

async function tellMember(
  { connections, store }: NoteReceivers,
  key: { readonly meshId: string; readonly memberId: string },
): Promise<void> {
  const member = await store.findMember(key)
  if (member !== null) connections.broadcast(key.meshId, [{ kind: 'member', member: toMemberRecord(member) }])
}
