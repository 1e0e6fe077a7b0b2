import { isMemberId } from './ids.ts'

/** The three ways a message finds its readers: one member, all subscribers, or exactly one consumer. */
export type DestinationKind = 'dm' | 'topic' | 'queue'

/** A resolved destination. `ref` is a member id (dm), a topic name, or a queue name. */
export interface Destination {
  readonly kind: DestinationKind
  readonly ref: string
}

/** Names of topics and queues: lower case, 1 to 64 characters. */
export const topicNamePattern = '^[a-z0-9][a-z0-9._-]{0,63}$'
/** Names of members and slugs of meshes. */
export const memberNamePattern = '^[a-z0-9][a-z0-9._-]{0,63}$'
export const meshSlugPattern = '^[a-z0-9][a-z0-9-]{0,31}$'

/** Topics of spaces begin so. Only whoever holds the lease of the space posts there. */
const spaceTopicPrefix = 'space.'
/** The name of a space that is shared: short enough for the name of its topic. */
export const sharedSpaceNamePattern = `^[a-z0-9][a-z0-9-]{0,${63 - spaceTopicPrefix.length}}$`

const nameRegExp = new RegExp(topicNamePattern)

/** The topic that the followers of a space subscribe to. */
export function spaceTopic(space: string): string {
  return `${spaceTopicPrefix}${space}`
}

/** The space that a destination is the topic of; null for any other one. */
export function spaceOf({ kind, ref }: Destination): string | null {
  return kind === 'topic' && ref.startsWith(spaceTopicPrefix) ? ref.slice(spaceTopicPrefix.length) : null
}

/** What a `to` text means before names are looked up. */
export type Address =
  | { readonly kind: 'member_name'; readonly name: string }
  | { readonly kind: 'member_id'; readonly memberId: string }
  | { readonly kind: 'topic'; readonly name: string }
  | { readonly kind: 'queue'; readonly name: string }

/**
 * Reads a `to` text: `@name`, `name`, a 64 digit member id, `#topic` or `queue:<name>`.
 *
 * @returns null when the text has none of these forms
 */
export function parseAddress(to: string): Address | null {
  if (to.startsWith('#')) return named('topic', to.slice(1))
  if (to.startsWith('queue:')) return named('queue', to.slice('queue:'.length))
  const member = to.startsWith('@') ? to.slice(1) : to
  if (isMemberId(member)) return { kind: 'member_id', memberId: member }
  return nameRegExp.test(member) ? { kind: 'member_name', name: member } : null
}

function named(kind: 'topic' | 'queue', name: string): Address | null {
  return nameRegExp.test(name) ? { kind, name } : null
}

/** The text form of a resolved destination, as people read it. */
export function formatDestination(destination: Destination): string {
  switch (destination.kind) {
    case 'dm':
      return destination.ref
    case 'topic':
      return `#${destination.ref}`
    case 'queue':
      return `queue:${destination.ref}`
    default:
      return destination.kind satisfies never
  }
}
