/** The form of a decision as it is stored and travels (07 §1): what is in the log of a space, one event after the other. */
import { type Static, type TProperties, Type } from 'typebox'
import type { JsonValue } from './canonical-json.ts'
import { clientMessageIdPattern, ulidPattern } from './ids.ts'

/** The name of a space. */
export const spaceNamePattern = '^[a-z0-9][a-z0-9-]{0,63}$'
/** RFC 3339 in UTC with milliseconds. That the day exists is checked where an event is decoded. */
const decisionTimePattern = '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$'
/** A member id, or a free name in a log from elsewhere: one line of what git takes as a name. */
const decisionActorPattern = '^[^\\u0000-\\u001f\\u007f<>]{1,255}$'
/** Bytes of the canonical form of a payload. */
export const decisionPayloadBytesMax = 256 * 1024
/** Containers within containers in a payload. */
export const decisionPayloadDepthMax = 64
/** Decisions of one append. */
export const decisionDraftsMax = 256

const closed = { additionalProperties: false }
const spaceName = Type.String({ pattern: spaceNamePattern })
const sequence = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
/** What a decision is about: a key, a target, a name. */
const subject = Type.String({ minLength: 1, maxLength: 1024 })
const anyText = Type.String()
const anyJson = Type.Unsafe<JsonValue>({})

const payload = <Properties extends TProperties>(properties: Properties) =>
  Type.Object(
    {
      ...properties,
      /** Where the event stood before two logs were united. */
      origin: Type.Optional(Type.Object({ space: spaceName, seq: sequence }, closed)),
    },
    closed,
  )

/** The payload of each kind of decision. */
const decisionPayloads = {
  overlay: Type.Union([
    payload({ target: subject, patch: Type.Unsafe<JsonValue>({ description: 'a JSON merge patch (RFC 7396)' }) }),
    payload({ target: subject, text: anyText }),
  ]),
  binding: payload({ a: subject, b: subject, relation: Type.Optional(anyText) }),
  unbinding: payload({ event_id: Type.String({ pattern: ulidPattern, description: 'of the binding' }) }),
  alias: payload({ name: subject, target: subject }),
  merge: payload({ from: Type.Array(subject, { minItems: 1 }), into: subject, strategy: anyText }),
  fork: payload({
    from_space: spaceName,
    from_seq: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    reason: anyText,
  }),
  state: payload({ key: subject, value: anyJson }),
  note: payload({ text: anyText, refs: Type.Array(anyText) }),
} as const

export type DecisionKind = keyof typeof decisionPayloads
export type DecisionPayload<Kind extends DecisionKind = DecisionKind> = Static<(typeof decisionPayloads)[Kind]>

const draftFields = {
  actor: Type.String({ pattern: decisionActorPattern, description: 'a member id, or a free name' }),
  sig: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{86}$', description: "the actor's Ed25519 signature" })),
}

const eventFields = {
  ...draftFields,
  space: spaceName,
  seq: sequence,
  event_id: Type.String({ pattern: ulidPattern }),
  intent_id: Type.String({ pattern: clientMessageIdPattern, description: "the caller's idempotency key" }),
  ts: Type.String({ pattern: decisionTimePattern, description: 'RFC 3339, UTC, milliseconds' }),
}

function draftOf<Kind extends DecisionKind>(kind: Kind) {
  return Type.Object({ ...draftFields, kind: Type.Literal(kind), payload: decisionPayloads[kind] }, closed)
}

function eventOf<Kind extends DecisionKind>(kind: Kind) {
  return Type.Object({ ...eventFields, kind: Type.Literal(kind), payload: decisionPayloads[kind] }, closed)
}

/** A decision that is in no log yet, by its kind. */
export const decisionDraftSchemas = {
  overlay: draftOf('overlay'),
  binding: draftOf('binding'),
  unbinding: draftOf('unbinding'),
  alias: draftOf('alias'),
  merge: draftOf('merge'),
  fork: draftOf('fork'),
  state: draftOf('state'),
  note: draftOf('note'),
} as const

/** A decision in the log of its space, by its kind. */
export const decisionEventSchemas = {
  overlay: eventOf('overlay'),
  binding: eventOf('binding'),
  unbinding: eventOf('unbinding'),
  alias: eventOf('alias'),
  merge: eventOf('merge'),
  fork: eventOf('fork'),
  state: eventOf('state'),
  note: eventOf('note'),
} as const

export type DecisionDraft = { [Kind in DecisionKind]: Static<(typeof decisionDraftSchemas)[Kind]> }[DecisionKind]
export type DecisionEvent = { [Kind in DecisionKind]: Static<(typeof decisionEventSchemas)[Kind]> }[DecisionKind]
