/**
 * The connections of this node, by id, by member and by mesh.
 *
 * A connection is here from its admission until nothing more is sent to it.
 */
import { type BrokerEvent, type CloseName, type Frame, limits } from '@claudemesh/protocol'
import type { MemberKey } from '../store/rows.ts'
import type { SeatEnding } from '../store/seats.ts'
import type { Connection } from './connection.ts'

export class Connections {
  readonly #byId = new Map<string, Connection>()
  readonly #byMember = new Map<string, Set<Connection>>()
  readonly #byMesh = new Map<string, Set<Connection>>()

  /** Of a peer that was authenticated: from now on it can be ended by its id. */
  expect(connection: Connection): void {
    this.#byId.set(connection.connectionId, connection)
  }

  /** Takes a connection in that was welcomed. */
  add(connection: Connection): void {
    add(this.#byMember, keyOf(connection.identity), connection)
    add(this.#byMesh, connection.meshId, connection)
  }

  remove(connection: Connection): void {
    this.#byId.delete(connection.connectionId)
    if (!connection.isAdmitted) return
    remove(this.#byMember, keyOf(connection.identity), connection)
    remove(this.#byMesh, connection.meshId, connection)
  }

  /** The meshes that have connections here. */
  get meshIds(): readonly string[] {
    return [...this.#byMesh.keys()]
  }

  /** Ends one connection, if it is one of this node's. @returns whether it is */
  end(connectionId: string, ending: SeatEnding): boolean {
    const connection = this.#byId.get(connectionId)
    if (connection === undefined) return false
    if (ending === 'gone') connection.terminate()
    else if (ending === 'normal') connection.finish(ending)
    else connection.close(ending)
    return true
  }

  /** Ends every connection of this node. */
  endAll(name: CloseName): void {
    for (const connection of [...this.#byId.values()]) connection.close(name)
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
