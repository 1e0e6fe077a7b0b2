import { createHash } from 'node:crypto'
import type { InboxDraft } from '../../apps/daemon/src/inbox/inbox.ts'

/** The member id of a name, for tests that need no keys. */
export function memberIdOf(name: string): string {
  return createHash('sha256').update(name).digest('hex')
}

/** The n-th message of a mesh: a well-formed id that sorts with n. */
export function messageIdOf(n: number): string {
  return `01HZ${String(n).padStart(22, '0')}`
}

export interface DraftFields {
  readonly n: number
  readonly from?: string
  readonly body?: string | null
  readonly topic?: string
  readonly replyTo?: number
  readonly acceptedAt?: number
}

/** A message as it comes from the broker; a null body is one that cannot be opened. */
export function draftOf({
  n,
  from = 'alice',
  body = `message ${n}`,
  topic,
  replyTo,
  acceptedAt = n,
}: DraftFields): InboxDraft {
  return {
    brokerMessageId: messageIdOf(n),
    clientMessageId: `client-${n}`,
    sender: memberIdOf(from),
    historyId: String(n),
    destination: topic === undefined ? { kind: 'dm', ref: memberIdOf('me') } : { kind: 'topic', ref: topic },
    replyToId: replyTo === undefined ? null : messageIdOf(replyTo),
    priority: 'next',
    acceptedAt,
    content:
      body === null
        ? { opened: false, sealed: Buffer.from(`sealed ${n}`), reason: 'sender_unknown' }
        : { opened: true, body, meta: null },
  }
}
