/** What nodes tell each other. Hints only: one that is lost delays, and loses nothing. */
import { type BrokerEvent, type CloseName, closeCodes, readBrokerFrame } from '@claudemesh/protocol'

/** A member of one mesh. */
export interface NotedMember {
  readonly meshId: string
  readonly memberId: string
}

export type Note =
  /** Something may wait for these members. */
  | { readonly kind: 'wake'; readonly members: readonly NotedMember[] }
  /** So many more messages can be taken from a queue. */
  | { readonly kind: 'queue'; readonly meshId: string; readonly queue: string; readonly messages: number }
  /** Whoever waits for work of a mesh looks again. */
  | { readonly kind: 'queues'; readonly meshId: string }
  /** A connection has lost its seat; `gone`: it ends without a word. */
  | { readonly kind: 'close'; readonly connectionId: string; readonly ending: CloseName | 'gone' }
  /** A member is gone; `normal`: its connections end when what they asked for is answered. */
  | { readonly kind: 'gone'; readonly meshId: string; readonly memberId: string; readonly ending: CloseName }
  /** A member has changed: what is told of it is read anew, since its chain may be long. */
  | { readonly kind: 'member'; readonly meshId: string; readonly memberId: string }
  /** Everybody of a mesh is told. */
  | { readonly kind: 'event'; readonly meshId: string; readonly event: BrokerEvent }

/** Reads what came in. Of a node of another version what is not understood is left out. Never throws. */
export function readNotes(payload: string): readonly Note[] {
  const notes = parse(payload)
  return Array.isArray(notes) ? notes.filter(isNote) : []
}

function parse(payload: string): unknown {
  try {
    return JSON.parse(payload)
  } catch {
    // Whoever may write to the database may notify: what is no JSON is no note.
    return null
  }
}

type Fields = Readonly<Record<string, unknown>>

/** What each kind consists of. */
const shapes: { readonly [K in Note['kind']]: (fields: Fields) => boolean } = {
  wake: ({ members }) => Array.isArray(members) && members.every((member) => isObject(member) && namesMember(member)),
  queue: ({ meshId, queue, messages }) => isText(meshId) && isText(queue) && Number.isSafeInteger(messages),
  queues: ({ meshId }) => isText(meshId),
  close: ({ connectionId, ending }) => isText(connectionId) && (ending === 'gone' || isCloseName(ending)),
  gone: (fields) => namesMember(fields) && isCloseName(fields['ending']),
  member: namesMember,
  event: ({ meshId, event }) => isText(meshId) && readBrokerFrame(JSON.stringify({ type: 'event', items: [event] })).ok,
}

function isNote(value: unknown): value is Note {
  if (!isObject(value)) return false
  const kind = value['kind']
  return typeof kind === 'string' && Object.hasOwn(shapes, kind) && shapes[kind as Note['kind']](value)
}

function namesMember({ meshId, memberId }: Fields): boolean {
  return isText(meshId) && isText(memberId)
}

function isCloseName(value: unknown): value is CloseName {
  return typeof value === 'string' && Object.hasOwn(closeCodes, value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}
