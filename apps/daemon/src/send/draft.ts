import {
  canonicalMeta,
  encodeEnvelope,
  type JsonObject,
  requestFingerprint,
  sharedFilesMember,
  type TraceContext,
  traceMembers,
} from '@claudemesh/protocol'
import type { OutboxDraft } from '../outbox/outbox.ts'
import type { SendContent } from './content.ts'
import type { NamedRecipients, ResolvedNames } from './resolve.ts'

/**
 * What is kept of a request: the destination found for it, its envelope, and the fingerprint of both (02 §3). The trace is in
 * the envelope and not in the fingerprint: a retry is the same send, under a span of its own.
 */
export function buildDraft(o: {
  readonly id: string
  readonly clientMessageId: string
  readonly content: SendContent
  readonly named: NamedRecipients
  readonly names: ResolvedNames
  readonly trace?: TraceContext | null
}): OutboxDraft {
  const { content, names } = o
  const { body, priority, replyToId } = content
  const metaCanonicalJson = withReservedMeta(content, names.mentions)
  return {
    id: o.id,
    clientMessageId: o.clientMessageId,
    requestFingerprint: requestFingerprint({
      destination: names.destination,
      replyToId,
      priority,
      metaCanonicalJson,
      body,
    }),
    destinationKind: names.destination.kind,
    destinationRef: names.destination.ref,
    priority,
    payload: encodeEnvelope({ metaCanonicalJson: withTrace(metaCanonicalJson, o.trace ?? null), body }),
    messageBytes: body.length,
    replyToId,
    mentions: names.mentions,
    addressed: addressedText(o.named),
    receipts: content.receipts,
  }
}

/**
 * The names as the caller wrote them, as one text. A retry that names the same means the same, also when the directory
 * has changed since and a name leads nowhere any more.
 */
export function addressedText(named: NamedRecipients): string {
  return [named.to, ...named.mentions].join('\n')
}

function withTrace(metaCanonicalJson: string, trace: TraceContext | null): string {
  if (trace === null) return metaCanonicalJson
  const meta = (metaCanonicalJson === '' ? {} : JSON.parse(metaCanonicalJson)) as JsonObject
  return canonicalMeta({ ...meta, ...traceMembers(trace) })
}

/** The reserved members begin with `$`, which no key of a caller does. */
function withReservedMeta(content: SendContent, mentions: readonly string[]): string {
  const { contentType, files } = content
  if (contentType === null && mentions.length === 0 && files === null) return content.metaCanonicalJson
  const meta: JsonObject = {
    ...content.meta,
    ...(contentType === null ? {} : { $contentType: contentType }),
    ...(mentions.length === 0 ? {} : { $mentions: mentions }),
    ...(files === null ? {} : { [sharedFilesMember]: files as unknown as JsonObject }),
  }
  return canonicalMeta(meta)
}
