/**
 * Every frame of the wire between daemon and broker (02 §7): one schema per type and direction, from which both the
 * validator and the TypeScript type come. A frame is one JSON object in one WebSocket text message.
 *
 * 1. A frame that fails its schema never reaches a handler.
 * 2. Objects are closed where the sender is older or equal (d->b); towards daemons they are open, so that a newer
 *    broker may add members.
 * 3. Binary values are base64 text; times are integer milliseconds since the epoch (UTC).
 */
import { type Static, type TObject, type TSchema, Type } from 'typebox'
import type { Validator } from 'typebox/compile'
import { certificateSchema, meshRecordSchema } from './certificate.ts'
import { compileLater } from './compile-later.ts'
import { topicNamePattern } from './destination.ts'
import { clientMessageIdPattern, memberIdPattern, ulidPattern } from './ids.ts'
import { chainLengthMax, frameBytesMax, itemsPerFrameMax, mentionsMax, timeMax } from './limits.ts'

const closed = { additionalProperties: false }
/** Bounded by what a calendar can show, so that no reader of a frame fails on it. */
const time = Type.Integer({ minimum: 0, maximum: timeMax })
/** Bounded by what stays exact in a double and fits a column of 64 bits. */
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const ulid = Type.String({ pattern: ulidPattern })
const memberId = Type.String({ pattern: memberIdPattern })
const topicName = Type.String({ pattern: topicNamePattern })
const clientMessageId = Type.String({ pattern: clientMessageIdPattern })
const digest = Type.String({ pattern: '^[0-9a-f]{64}$' })
const base64 = Type.String({ maxLength: frameBytesMax })
/** Position in a mesh's history: a decimal number without gaps, as text because it outgrows no language that way. */
const historyId = Type.String({ pattern: '^[1-9][0-9]{0,18}$' })
const deliveryId = Type.String({ minLength: 1, maxLength: 64 })
const requestId = Type.String({ minLength: 1, maxLength: 64 })

const shortText = Type.String({ maxLength: 1024 })
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const items = <T extends TSchema>(schema: T) => Type.Array(schema, { minItems: 1, maxItems: itemsPerFrameMax })

export const prioritySchema = Type.Union([Type.Literal('now'), Type.Literal('next'), Type.Literal('low')])
const destinationSchema = Type.Union([
  Type.Object({ kind: Type.Literal('dm'), ref: memberId }, closed),
  Type.Object({ kind: Type.Literal('topic'), ref: topicName }, closed),
  Type.Object({ kind: Type.Literal('queue'), ref: topicName }, closed),
])

/**
 * A member as the broker knows it; a daemon believes it only after checking the chain for itself. One that `left` by
 * itself is listed as long as messages of it are kept: whoever gets one must be able to check who sent it.
 */
export const memberRecordSchema = Type.Object({
  member_id: memberId,
  chain: Type.Array(certificateSchema, { minItems: 1, maxItems: chainLengthMax }),
  status: Type.Union([Type.Literal('active'), Type.Literal('revoked'), Type.Literal('left')]),
  online: Type.Boolean(),
  last_seen_at: nullable(time),
  summary: nullable(shortText),
  activity: nullable(shortText),
})

/** A topic and how many members subscribe to it; `subscribed` is about the asking member. */
export const topicRecordSchema = Type.Object({
  name: topicName,
  subscribers: count,
  subscribed: Type.Boolean(),
  created_at: time,
})

/**
 * Options of one connection, covered by the hello's signature. `instance_id` is new with every process. A member with
 * `ephemeral_ttl_ms` is removed when it has not been connected for that long.
 */
const connectionOptionsSchema = Type.Object(
  { instance_id: ulid, ephemeral_ttl_ms: Type.Optional(Type.Integer({ minimum: 1_000, maximum: 30 * 86_400_000 })) },
  closed,
)

const sendItem = Type.Object(
  {
    client_message_id: clientMessageId,
    wire_fingerprint: digest,
    destination: destinationSchema,
    reply_to: nullable(ulid),
    priority: prioritySchema,
    recipients_epoch: nullable(count),
    /** Members whose attention is asked for; the broker indexes them. */
    mentions: Type.Optional(Type.Array(memberId, { maxItems: mentionsMax })),
    /** False: no receipts for this message. */
    receipts: Type.Boolean(),
    sealed: base64,
  },
  closed,
)

const sendResult = Type.Union([
  Type.Object({
    client_message_id: clientMessageId,
    status: Type.Literal(201),
    broker_message_id: ulid,
    history_id: historyId,
    recipient_count: count,
  }),
  Type.Object({
    client_message_id: clientMessageId,
    status: Type.Literal(200),
    duplicate: Type.Literal(true),
    broker_message_id: ulid,
    history_id: historyId,
    history_available: Type.Boolean(),
    recipient_count: count,
    first_seen_at: time,
  }),
  Type.Object({
    client_message_id: clientMessageId,
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.String({ maxLength: 64 }),
    detail: Type.Optional(shortText),
    retry_after_ms: Type.Optional(count),
    recipients_epoch: Type.Optional(count),
    broker_fingerprint_prefix: Type.Optional(Type.String({ maxLength: 16 })),
  }),
])

const deliveryItem = Type.Object({
  delivery_id: deliveryId,
  broker_message_id: ulid,
  history_id: historyId,
  client_message_id: clientMessageId,
  sender: memberId,
  destination: destinationSchema,
  reply_to: nullable(ulid),
  priority: prioritySchema,
  sealed: base64,
  accepted_at: time,
})

/** A message in a page of history: a delivery without a delivery id. */
export const historyItemSchema = Type.Object({
  broker_message_id: ulid,
  history_id: historyId,
  client_message_id: clientMessageId,
  sender: memberId,
  destination: destinationSchema,
  reply_to: nullable(ulid),
  priority: prioritySchema,
  sealed: base64,
  accepted_at: time,
})

/**
 * What is proven of one message at one recipient. Towards the sender it carries a `delivery_id` and is acknowledged
 * with `deliver_ack` like any delivery.
 */
const receiptItem = Type.Object({
  delivery_id: deliveryId,
  broker_message_id: ulid,
  client_message_id: clientMessageId,
  recipient: memberId,
  state: Type.Union([Type.Literal('delivered'), Type.Literal('read'), Type.Literal('undeliverable')]),
  at: time,
  reason: Type.Optional(Type.String({ maxLength: 64 })),
})

const brokerEvent = Type.Union([
  Type.Object({ kind: Type.Literal('presence'), member_id: memberId, online: Type.Boolean(), at: time }),
  Type.Object({ kind: Type.Literal('member'), member: memberRecordSchema }),
  Type.Object({ kind: Type.Literal('topic'), topic: topicName, subscribers: Type.Optional(count) }),
  /** A newer revocation list is there to be fetched. */
  Type.Object({ kind: Type.Literal('revocations'), number: Type.Integer({ minimum: 1, maximum: timeMax }) }),
])

/** Frames that a daemon sends. */
export const daemonFrames = {
  hello: Type.Object(
    {
      type: Type.Literal('hello'),
      mesh: meshRecordSchema,
      member_id: memberId,
      chain: Type.Array(certificateSchema, { minItems: 1, maxItems: chainLengthMax }),
      daemon_version: Type.String({ maxLength: 64 }),
      host_fingerprint: nullable(digest),
      origin: Type.String({ maxLength: 255 }),
      options: connectionOptionsSchema,
      signature: Type.String({ pattern: '^[A-Za-z0-9_-]{86}$' }),
    },
    closed,
  ),
  feature_negotiation_request: Type.Object(
    {
      type: Type.Literal('feature_negotiation_request'),
      require: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 }),
      optional: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 }),
    },
    closed,
  ),
  send: Type.Object({ type: Type.Literal('send'), items: items(sendItem) }, closed),
  deliver_ack: Type.Object(
    {
      type: Type.Literal('deliver_ack'),
      items: items(
        Type.Object(
          {
            delivery_id: deliveryId,
            outcome: Type.Union([
              Type.Literal('stored'),
              Type.Literal('duplicate'),
              Type.Literal('undecryptable'),
              Type.Literal('rejected'),
            ]),
          },
          closed,
        ),
      ),
    },
    closed,
  ),
  request: Type.Object(
    {
      type: Type.Literal('request'),
      request_id: requestId,
      op: Type.String({ maxLength: 64 }),
      params: Type.Object({}, { additionalProperties: true }),
    },
    closed,
  ),
} as const satisfies Record<string, TObject>

/** Frames that a broker sends. */
export const brokerFrames = {
  challenge: Type.Object({
    type: Type.Literal('challenge'),
    nonce: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
    broker_time: time,
    broker_version: Type.String({ maxLength: 64 }),
  }),
  welcome: Type.Object({
    type: Type.Literal('welcome'),
    connection_id: Type.String({ minLength: 1, maxLength: 64 }),
    limits: Type.Object({
      inflight_messages: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      inflight_bytes: Type.Integer({ minimum: 1024, maximum: Number.MAX_SAFE_INTEGER }),
      max_frame: Type.Integer({ minimum: 1024, maximum: Number.MAX_SAFE_INTEGER }),
    }),
  }),
  feature_negotiation_response: Type.Object({
    type: Type.Literal('feature_negotiation_response'),
    supported: Type.Record(Type.String(), Type.Unknown()),
    missing_required: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 }),
  }),
  send_results: Type.Object({ type: Type.Literal('send_results'), items: items(sendResult) }),
  deliver: Type.Object({ type: Type.Literal('deliver'), items: items(deliveryItem) }),
  receipts: Type.Object({ type: Type.Literal('receipts'), items: items(receiptItem) }),
  response: Type.Object({
    type: Type.Literal('response'),
    request_id: requestId,
    status: Type.Integer({ minimum: 200, maximum: 599 }),
    result: Type.Optional(Type.Unknown()),
    code: Type.Optional(Type.String({ maxLength: 64 })),
    detail: Type.Optional(shortText),
  }),
  event: Type.Object({ type: Type.Literal('event'), items: items(brokerEvent) }),
  error: Type.Object({
    type: Type.Literal('error'),
    code: Type.String({ maxLength: 64 }),
    detail: shortText,
  }),
} as const satisfies Record<string, TObject>

export type DaemonFrame = {
  [T in keyof typeof daemonFrames]: Static<(typeof daemonFrames)[T]>
}[keyof typeof daemonFrames]
export type BrokerFrame = {
  [T in keyof typeof brokerFrames]: Static<(typeof brokerFrames)[T]>
}[keyof typeof brokerFrames]
/** One frame by its type, e.g. `Frame<'send'>`. */
export type Frame<T extends (DaemonFrame | BrokerFrame)['type']> = Extract<DaemonFrame | BrokerFrame, { type: T }>

export type SendItem = Static<typeof sendItem>
export type SendResult = Static<typeof sendResult>
export type DeliveryItem = Static<typeof deliveryItem>
export type DeliveryOutcome = Frame<'deliver_ack'>['items'][number]['outcome']
export type ReceiptItem = Static<typeof receiptItem>
export type ReceiptState = ReceiptItem['state']
export type BrokerEvent = Static<typeof brokerEvent>
export type MemberRecord = Static<typeof memberRecordSchema>
export type TopicRecord = Static<typeof topicRecordSchema>
export type HistoryItem = Static<typeof historyItemSchema>
export type ConnectionOptions = Static<typeof connectionOptionsSchema>

/** The outcome of reading one text message. */
export type FrameReading<F> = { readonly ok: true; readonly frame: F } | { readonly ok: false; readonly detail: string }

/** Reads a frame that a daemon sent. Never throws. */
export function readDaemonFrame(text: string): FrameReading<DaemonFrame> {
  return read(text, daemonValidators) as FrameReading<DaemonFrame>
}

/** Reads a frame that a broker sent. Never throws. */
export function readBrokerFrame(text: string): FrameReading<BrokerFrame> {
  return read(text, brokerValidators) as FrameReading<BrokerFrame>
}

const daemonValidators = compileAll(daemonFrames)
const brokerValidators = compileAll(brokerFrames)

function compileAll(schemas: Record<string, TObject>): Map<string, () => Validator> {
  return new Map(Object.entries(schemas).map(([type, schema]) => [type, compileLater(schema)]))
}

function read(text: string, validators: Map<string, () => Validator>): FrameReading<unknown> {
  let frame: unknown
  try {
    frame = JSON.parse(text)
  } catch {
    // The parser's own message quotes the input; what a person needs to know is only this.
    return { ok: false, detail: 'not a JSON document' }
  }
  if (frame === null || typeof frame !== 'object' || Array.isArray(frame)) {
    return { ok: false, detail: 'not a JSON object' }
  }
  const type: unknown = (frame as { type?: unknown }).type
  const validator = typeof type === 'string' ? validators.get(type)?.() : undefined
  if (validator === undefined) return { ok: false, detail: describeUnknownType(type) }
  if (validator.Check(frame)) return { ok: true, frame }
  const [fault] = validator.Errors(frame)
  return {
    ok: false,
    detail: `${String(type)}${fault?.instancePath ?? ''}: ${fault?.message ?? 'does not fit'}`.slice(0, 512),
  }
}

/** Only a text is quoted: to print a value of hostile depth would exhaust the stack. */
function describeUnknownType(type: unknown): string {
  return typeof type === 'string' ? `unknown frame type ${JSON.stringify(type.slice(0, 64))}` : 'no frame type'
}
