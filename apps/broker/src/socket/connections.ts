/**
 * The connections of this process, by mesh and member, and what happens when a member has more than one (05 §2).
 *
 * A connection is here from its admission until nothing more is sent to it.
 */
import { type BrokerEvent, type CloseName, type Frame, limits } from '@claudemesh/protocol'
import type { MemberKey } from '../store/rows.ts'
import type { Connection, Identity } from './connection.ts'

export class Connections {
  readonly #byMember = new Map<string, Set<Connection>>()
  readonly #byMesh = new Map<string, Set<Connection>>()

  /**
   * Takes an authenticated connection in, by the policy of its mesh. A process that reconnects before its old
   * connection was noticed to be gone is not a second one: it replaces it without conflict.
   *
   * @returns false when an older connection has precedence
   */
  admit(connection: Connection, identity: Identity): boolean {
    const others = [...(this.#byMember.get(keyOf(identity)) ?? [])]
    const [own, foreign] = partition(
      others,
      (other) => other.identity.options.instance_id === identity.options.instance_id,
    )
    const { concurrencyPolicy } = identity.settings
    if (foreign.length > 0 && concurrencyPolicy === 'prefer_oldest') return false
    for (const other of own) other.terminate()
    if (concurrencyPolicy === 'prefer_newest') {
      for (const other of foreign) other.close('replaced_by_newer_connection')
    }
    add(this.#byMember, keyOf(identity), connection)
    add(this.#byMesh, identity.meshId, connection)
    return true
  }

  remove(connection: Connection): void {
    if (!connection.isAdmitted) return
    remove(this.#byMember, keyOf(connection.identity), connection)
    remove(this.#byMesh, connection.meshId, connection)
  }

  has(member: MemberKey): boolean {
    return this.#byMember.has(keyOf(member))
  }

  /** Ends the connections of a member at once. */
  close(member: MemberKey, name: CloseName): void {
    for (const connection of [...(this.#byMember.get(keyOf(member)) ?? [])]) connection.close(name)
  }

  /** Takes nothing more from a member, and ends its connections when what they asked for is answered. */
  finish(member: MemberKey, name: CloseName): void {
    for (const connection of [...(this.#byMember.get(keyOf(member)) ?? [])]) connection.finish(name)
  }

  /** Tells every open connection of a mesh. */
  broadcast(meshId: string, events: readonly BrokerEvent[]): void {
    for (let start = 0; start < events.length; start += limits.itemsPerFrameMax) {
      const frame: Frame<'event'> = { type: 'event', items: events.slice(start, start + limits.itemsPerFrameMax) }
      const text = JSON.stringify(frame)
      for (const connection of this.#byMesh.get(meshId) ?? []) {
        if (connection.state === 'open') connection.sendText(text)
      }
    }
  }
}

function keyOf(member: MemberKey): string {
  return `${member.meshId}/${member.memberId}`
}

function add(index: Map<string, Set<Connection>>, key: string, connection: Connection): void {
  index.set(key, (index.get(key) ?? new Set()).add(connection))
}

function remove(index: Map<string, Set<Connection>>, key: string, connection: Connection): void {
  const connections = index.get(key)
  connections?.delete(connection)
  if (connections?.size === 0) index.delete(key)
}

function partition<T>(items: readonly T[], belongs: (item: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))]
}
