/**
 * The public header of a sealed message: what the broker has to see in order to deliver, in the sender's own words.
 *
 *     JCS {v, mesh_id, sender, sender_epoch, client_message_id, destination {kind, ref}, reply_to, priority,
 *          recipients_epoch}
 *
 * 1. It is associated data of the content: it cannot be exchanged, and the content cannot be moved under another one.
 * 2. A header has one text. Whatever is not exactly that is refused, so that nobody reads it differently.
 *
 * It does not judge whether names and ids in it are well-formed: the reader compares them with what it was told.
 */
import assert from 'node:assert/strict'
import { type Destination, isCarriableText, type JsonObject, type JsonValue, type Priority } from '@claudemesh/protocol'

export interface SealHeader {
  readonly meshId: string
  /** Member id of who seals. */
  readonly sender: string
  /** Which of the sender's box keys it seals with. */
  readonly senderEpoch: number
  readonly clientMessageId: string
  readonly destination: Destination
  /** The `broker_message_id` replied to. */
  readonly replyTo: string | null
  readonly priority: Priority
  /** The epoch of the recipients that it was sealed for; null when the destination has none. */
  readonly recipientsEpoch: number | null
}

/** What a delivery claims of a message, and its header has to say as well. */
export type ExpectedHeader = Omit<SealHeader, 'senderEpoch' | 'recipientsEpoch'>

/** Well above the longest header, which a test makes; bounds what is parsed before anything is known of it. */
export const headerBytesMax = 2048
const headerVersion = 1

/** @throws TypeError when a field contains U+0000 or a lone surrogate */
export function encodeHeader(header: SealHeader): Buffer {
  assertCarriable(header)
  const { destination } = header
  // Members in the order of JCS. JSON.stringify writes texts without lone surrogates, and whole numbers, as JCS does.
  const text = JSON.stringify({
    client_message_id: header.clientMessageId,
    destination: { kind: destination.kind, ref: destination.ref },
    mesh_id: header.meshId,
    priority: header.priority,
    recipients_epoch: header.recipientsEpoch,
    reply_to: header.replyTo,
    sender: header.sender,
    sender_epoch: header.senderEpoch,
    v: headerVersion,
  })
  return Buffer.from(text, 'utf8')
}

function assertCarriable({ meshId, sender, clientMessageId, destination, replyTo, ...epochs }: SealHeader): void {
  assert(Number.isSafeInteger(epochs.senderEpoch), 'the epoch of a sender is a whole number')
  assert(Number.isSafeInteger(epochs.recipientsEpoch ?? 0), 'the epoch of recipients is a whole number')
  for (const text of [meshId, sender, clientMessageId, destination.ref, replyTo ?? '']) {
    if (!isCarriableText(text)) throw new TypeError('a field of the header contains U+0000 or a lone surrogate')
  }
}

/** @returns null when the bytes are not those of a header. Never throws. */
export function decodeHeader(bytes: Buffer): SealHeader | null {
  if (bytes.length > headerBytesMax) return null
  const header = readHeader(parse(bytes.toString('utf8')))
  // Writing it again finds everything that reading passes over: other members, other order, white space, another version.
  return header !== null && encodeHeader(header).equals(bytes) ? header : null
}

/** Whether the header says what the delivery claims. */
export function matches(header: SealHeader, expected: ExpectedHeader): boolean {
  return (
    header.meshId === expected.meshId &&
    header.sender === expected.sender &&
    header.clientMessageId === expected.clientMessageId &&
    header.destination.kind === expected.destination.kind &&
    header.destination.ref === expected.destination.ref &&
    header.replyTo === expected.replyTo &&
    header.priority === expected.priority
  )
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    // Not JSON: the same answer as for JSON that is no header.
    return null
  }
}

function readHeader(value: JsonValue): SealHeader | null {
  if (!isObject(value)) return null
  const meshId = readText(value['mesh_id'])
  const sender = readText(value['sender'])
  const senderEpoch = readCount(value['sender_epoch'])
  const clientMessageId = readText(value['client_message_id'])
  const destination = readDestination(value['destination'])
  const replyTo = readNullable(readText, value['reply_to'])
  const priority = priorities.find((name) => name === value['priority'])
  const recipientsEpoch = readNullable(readCount, value['recipients_epoch'])
  if (meshId === undefined || sender === undefined || senderEpoch === undefined) return null
  if (clientMessageId === undefined || destination === undefined || replyTo === undefined) return null
  if (priority === undefined || recipientsEpoch === undefined) return null
  return { meshId, sender, senderEpoch, clientMessageId, destination, replyTo, priority, recipientsEpoch }
}

const kinds = ['dm', 'topic', 'queue'] as const
const priorities = ['now', 'next', 'low'] as const

function readDestination(value: JsonValue | undefined): Destination | undefined {
  if (!isObject(value)) return undefined
  const kind = kinds.find((name) => name === value['kind'])
  const ref = readText(value['ref'])
  return kind === undefined || ref === undefined ? undefined : { kind, ref }
}

function readText(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && isCarriableText(value) ? value : undefined
}

function readCount(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function readNullable<T>(
  read: (value: JsonValue | undefined) => T | undefined,
  value: JsonValue | undefined,
): T | null | undefined {
  return value === null ? null : read(value)
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
