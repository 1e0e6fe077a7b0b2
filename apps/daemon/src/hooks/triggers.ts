/** What fires which hook: the name of a hook is the name of its file, and one row of this table. */
import { type EventType, topicNamePattern } from '@claudemesh/protocol'

/** Asked before a send is accepted; no stored event fires it. */
export const preSendName = 'pre-send'

type EventData = Readonly<Record<string, unknown>>

export interface Trigger {
  readonly type: EventType
  /** @param selfId member id of this daemon */
  readonly matches: (data: EventData, selfId: string) => boolean
}

const always = () => true
/** What could not be opened fires nothing; should it be opened later, it is told of again. */
const ofMessages = (matches: Trigger['matches']): Trigger => ({
  type: 'message',
  matches: (data, selfId) => data['opened'] === true && matches(data, selfId),
})

const triggers: Readonly<Record<string, Trigger>> = {
  'on-message': ofMessages(always),
  'on-dm': ofMessages(({ destination_kind: kind }) => kind === 'dm'),
  'on-mention': ofMessages(({ mentions }, selfId) => Array.isArray(mentions) && mentions.includes(selfId)),
  'on-file-share': { type: 'file_shared', matches: always },
  'on-disconnect': { type: 'daemon_disconnect', matches: always },
  'on-reconnect': { type: 'daemon_reconnect', matches: always },
  'on-startup': { type: 'daemon_start', matches: always },
}

const topicPrefix = 'on-topic-'
const topicName = new RegExp(topicNamePattern)

/** Names of hooks, as they are told to somebody who wrote another one. */
export const hookNames: readonly string[] = [...Object.keys(triggers), `${topicPrefix}<name>`, preSendName]

export function isHookName(name: string): boolean {
  return name === preSendName || triggerOf(name) !== null
}

/** @returns null for a name that no stored event fires */
export function triggerOf(name: string): Trigger | null {
  const known = Object.hasOwn(triggers, name) ? triggers[name] : undefined
  if (known !== undefined) return known
  const topic = topicOf(name)
  if (topic === null) return null
  return ofMessages((data) => data['destination_kind'] === 'topic' && data['destination_ref'] === topic)
}

/** The topic of `on-topic-<name>`. */
function topicOf(name: string): string | null {
  if (!name.startsWith(topicPrefix)) return null
  const topic = name.slice(topicPrefix.length)
  return topicName.test(topic) ? topic : null
}
