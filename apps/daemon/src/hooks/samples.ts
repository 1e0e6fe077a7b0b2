/** What a hook is given when it is tried: an event of its kind that did not happen. */
import type { HookEvent } from './subject.ts'
import { preSendName, triggerOf } from './triggers.ts'

const sampleId = '01JZZZZZZZZZZZZZZZZZZZZZZZ'

/** @param self this member, from whom and to whom the sample goes */
export function sampleEvent(
  hook: string,
  o: { readonly at: number; readonly self: { readonly id: string; readonly name: string } },
): Omit<HookEvent, 'type'> & { readonly type: string } {
  const type = triggerOf(hook)?.type ?? 'send'
  return { id: 0, type, at: o.at, data: dataOf(hook, type, o) }
}

function dataOf(hook: string, type: string, { at, self }: Parameters<typeof sampleEvent>[1]): HookEvent['data'] {
  const topic = hook.startsWith('on-topic-') ? hook.slice('on-topic-'.length) : null
  const destination =
    topic === null
      ? { destination_kind: 'dm', destination_ref: self.id }
      : { destination_kind: 'topic', destination_ref: topic }
  switch (type) {
    case 'message':
      return {
        ...{ id: sampleId, direction: 'received', history_id: '1', client_message_id: 'sample', sender: self.id },
        ...{ sender_name: self.name, ...destination, reply_to_id: null, priority: 'next' },
        ...{ message: 'A sample: nobody has sent this.', meta: null, content_type: null },
        ...{ mentions: hook === 'on-mention' ? [self.id] : [], opened: true, unopened_reason: null },
        ...{ accepted_at: at, received_at: at, read_at: null },
      }
    case 'file_shared':
      return {
        ...{ share_id: sampleId, direction: 'received', status: 'done', peer: self.id, peer_name: self.name },
        ...{ name: 'sample.txt', media_type: 'text/plain', size_bytes: 0, created_at: at, expires_at: at },
      }
    case 'daemon_disconnect':
      return { reason: 'a sample: the link is as it was' }
    case 'send':
      return { to: `@${self.name}`, message: `A sample for ${preSendName}: nothing is sent.`, ...destination }
    default:
      return {}
  }
}
