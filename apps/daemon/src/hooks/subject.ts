/** Who and what an event is about, as far as an answer to it is concerned. */
import { type EventType, isMemberId, readTraceContext, type TraceContext } from '@claudemesh/protocol'

/** Member of `meta` that marks what a hook answered: no hook answers an answer, so that two of them never talk for ever. */
export const autoReplyMember = 'auto_reply'

export interface HookEvent {
  readonly id: number
  readonly type: EventType
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly data: Readonly<Record<string, unknown>>
}

export interface Subject {
  /** Names the event for ever, also where it is told of under another id after a power cut. */
  readonly key: string
  readonly sender: { readonly id: string; readonly name: string | null } | null
  /** Where an answer goes, as a `to`: to whom a direct message came from, or to the topic it came over. */
  readonly answerTo: string | null
  /** Of the message that is answered. */
  readonly messageId: string | null
  readonly isAutoReply: boolean
  /** Of the message: what is sent because of it belongs to the same. */
  readonly trace: TraceContext | null
}

export function subjectOf({ id, type, data }: HookEvent): Subject {
  switch (type) {
    case 'message':
      return subjectOfMessage(data)
    case 'file_shared': {
      const sender = memberOf(data['peer'], data['peer_name'])
      const key = String(data['share_id'])
      return { key, sender, answerTo: sender?.id ?? null, messageId: null, isAutoReply: false, trace: null }
    }
    default:
      return { key: String(id), sender: null, answerTo: null, messageId: null, isAutoReply: false, trace: null }
  }
}

function subjectOfMessage(data: HookEvent['data']): Subject {
  const { id, destination_kind: kind, destination_ref: ref, meta } = data
  const sender = memberOf(data['sender'], data['sender_name'])
  return {
    key: String(id),
    sender,
    answerTo: kind === 'topic' ? `#${String(ref)}` : (sender?.id ?? null),
    messageId: String(id),
    isAutoReply: meta !== null && typeof meta === 'object' && (meta as HookEvent['data'])[autoReplyMember] === true,
    trace: readTraceContext(data['traceparent'], data['tracestate']),
  }
}

function memberOf(id: unknown, name: unknown): Subject['sender'] {
  if (typeof id !== 'string' || !isMemberId(id)) return null
  return { id, name: typeof name === 'string' ? name : null }
}
