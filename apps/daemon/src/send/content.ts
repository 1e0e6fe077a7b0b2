/** What a request wants sent, checked in itself: everything that can be judged without looking anywhere else. */
import {
  canonicalMeta,
  findUncarriable,
  isCarriableText,
  isClientMessageId,
  type JsonObject,
  limits,
  MeshError,
  type Priority,
  parseIdempotencyKey,
  type SendRequest,
  type SharedFiles,
} from '@claudemesh/protocol'

export interface SendContent {
  readonly body: Buffer
  /** The caller's own meta; its canonical form is `metaCanonicalJson`. */
  readonly meta: JsonObject | null
  readonly metaCanonicalJson: string
  readonly contentType: string | null
  readonly priority: Priority
  readonly replyToId: string | null
  readonly receipts: boolean
  /** What is shared with it, as its recipients read it; null: nothing. */
  readonly files: SharedFiles | null
}

/** @throws MeshError `invalid_text` or `invalid_meta`, naming the field */
export function readContent(request: Omit<SendRequest, 'to'>): SendContent {
  const { message, contentType, priority = 'next', replyToId = null, receipts = true } = request
  assertCarriable(message, 'message')
  if (contentType !== undefined) assertCarriable(contentType, 'contentType')
  // The request came out of a JSON parser, so its unknown values are JSON values.
  const meta = (request.meta ?? null) as JsonObject | null
  return {
    body: Buffer.from(message, 'utf8'),
    meta,
    metaCanonicalJson: meta === null ? '' : readMeta(meta),
    contentType: contentType ?? null,
    priority,
    replyToId,
    receipts,
    files: null,
  }
}

/**
 * The idempotency key that the caller chose, the header before the body's field; null: it left the choice to us.
 *
 * @throws MeshError `invalid_client_message_id`
 */
export function readClientMessageId(header: string | null, field: string | undefined): string | null {
  if (header !== null) {
    const key = parseIdempotencyKey(header)
    if (key !== null && isClientMessageId(key)) return key
    throw new MeshError('invalid_client_message_id', { data: { field: 'Idempotency-Key' } })
  }
  if (field === undefined || isClientMessageId(field)) return field ?? null
  throw new MeshError('invalid_client_message_id', { data: { field: 'client_message_id' } })
}

function assertCarriable(text: string, field: string): void {
  if (isCarriableText(text)) return
  throw new MeshError('invalid_text', {
    detail: `${field} contains U+0000 or a lone surrogate`,
    data: { field },
  })
}

function readMeta(meta: JsonObject): string {
  const reserved = Object.keys(meta).find((key) => key.startsWith('$'))
  if (reserved !== undefined) throw invalidMeta(`the key ${JSON.stringify(reserved)} is reserved`)
  const fault = findUncarriable(meta, limits.metaDepthMax)
  if (fault !== null) throw invalidMeta(`meta: ${fault}`)
  const text = canonicalOrThrow(meta)
  if (Buffer.byteLength(text) > limits.metaBytesMax) {
    throw invalidMeta(`meta is larger than ${limits.metaBytesMax} bytes in canonical form`)
  }
  return text
}

function canonicalOrThrow(meta: JsonObject): string {
  try {
    return canonicalMeta(meta)
  } catch (cause) {
    // A number beyond the range of a double parses to Infinity, which has no canonical form.
    throw invalidMeta('meta holds a value that has no canonical JSON form', cause)
  }
}

function invalidMeta(detail: string, cause?: unknown): MeshError {
  return new MeshError('invalid_meta', { detail, data: { field: 'meta' }, ...(cause === undefined ? {} : { cause }) })
}
