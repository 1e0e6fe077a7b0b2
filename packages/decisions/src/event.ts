/**
 * Decisions as bytes (07 §1).
 *
 * 1. Equal events are equal bytes: RFC 8785 in UTF-8, and one newline. Whatever else says the same is refused.
 * 2. What is encoded comes back: a value that JSON would drop or round is refused before anything is written.
 */
import { isDeepStrictEqual } from 'node:util'
import {
  canonicalJson,
  type DecisionDraft,
  type DecisionEvent,
  type DecisionKind,
  decisionDraftSchemas,
  decisionEventSchemas,
  decisionPayloadBytesMax,
  decisionPayloadDepthMax,
  findUncarriable,
  isCanonicalText,
  type JsonObject,
  type JsonValue,
  MeshError,
  spaceNamePattern,
} from '@claudemesh/protocol'
import { Compile, type Validator } from 'typebox/compile'

export type { DecisionDraft, DecisionEvent, DecisionKind }

/** Bytes of one event with its newline: a payload, and members of which each has a bound. */
export const eventBytesMax = decisionPayloadBytesMax + 16 * 1024

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const spaceNameRegExp = new RegExp(spaceNamePattern)
const validators = new Map<object, Validator>()

export function isSpaceName(space: unknown): space is string {
  return typeof space === 'string' && spaceNameRegExp.test(space)
}

/** @throws MeshError `invalid_space` */
export function checkSpaceName(space: string): void {
  if (isSpaceName(space)) return
  throw new MeshError('invalid_space', { detail: `${JSON.stringify(space)} is no name of a space.` })
}

/**
 * The bytes of an event.
 *
 * @throws MeshError `invalid_decision`, `decision_kind_unknown`, `decision_too_large`, `decision_inexact`
 */
export function encodeEvent(event: DecisionEvent): Buffer {
  return Buffer.from(`${exactText(event, decisionEventSchemas)}\n`)
}

/**
 * The event of exactly the bytes that `encodeEvent` gives for it.
 *
 * @throws MeshError `decision_not_canonical`, and what `encodeEvent` throws
 */
export function decodeEvent(bytes: Uint8Array): DecisionEvent {
  if (bytes.length > eventBytesMax) {
    throw new MeshError('decision_too_large', { detail: `The event has more than ${eventBytesMax} bytes.` })
  }
  const text = decodeText(bytes)
  const event = parse(text) as DecisionEvent
  // The form first: of an event that is wrong in itself it does not help to hear how it is written.
  checkForm(event, decisionEventSchemas)
  const isWritten =
    bytes.length <= decisionPayloadBytesMax &&
    isCanonicalText(text.slice(0, -1), event as unknown as JsonObject, decisionPayloadDepthMax + 1)
  if (isWritten && text.endsWith('\n')) return event
  if (`${canonicalText(event, decisionEventSchemas)}\n` !== text)
    throw notCanonical('It is not written as RFC 8785 writes it, with one newline.')
  return event
}

/**
 * A copy of a draft that its caller cannot change any more.
 *
 * @throws MeshError what `encodeEvent` throws; `invalid_decision` also for an `origin`, which only a union writes
 */
export function copyDraft(draft: DecisionDraft): DecisionDraft {
  const copy = JSON.parse(exactText(draft, decisionDraftSchemas)) as DecisionDraft
  if (copy.payload.origin !== undefined)
    throw invalid('$.payload.origin', 'is written where logs are united, not by hand')
  return copy
}

/** The draft that an event was made from, as it was given. */
export function draftOf(event: DecisionEvent): DecisionDraft {
  const { kind, actor, payload, sig } = event
  return { kind, actor, payload, ...(sig === undefined ? {} : { sig }) } as DecisionDraft
}

/** The canonical text of an event or a draft, from which exactly the same is read again. */
function exactText(value: object, schemas: Readonly<Record<DecisionKind, object>>): string {
  const text = canonicalText(value, schemas)
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch (cause) {
    throw inexact('It has no JSON form.', cause)
  }
  if (!isDeepStrictEqual(read, value)) throw inexact('JSON would say something else.')
  return text
}

/** The canonical text of an event or a draft that has the form of its kind. */
function canonicalText(value: object, schemas: Readonly<Record<DecisionKind, object>>): string {
  checkForm(value, schemas)
  const { payload } = value as DecisionDraft
  const fault = findUncarriable(payload as JsonValue, decisionPayloadDepthMax)
  if (fault !== null) throw inexact(`The payload: ${fault}.`)
  const text = jsonOf(value)
  if (Buffer.byteLength(text) > decisionPayloadBytesMax) checkSize(payload)
  return text
}

/** Where an event stood before is not its content: two logs are united whatever the size of what is in them. */
function checkSize({ origin: _, ...content }: DecisionDraft['payload']): void {
  if (Buffer.byteLength(jsonOf(content)) <= decisionPayloadBytesMax) return
  throw new MeshError('decision_too_large', { detail: `The payload has more than ${decisionPayloadBytesMax} bytes.` })
}

function jsonOf(value: object): string {
  try {
    return canonicalJson(value as JsonObject)
  } catch (cause) {
    throw inexact('It has no canonical JSON form.', cause)
  }
}

function checkForm(value: unknown, schemas: Readonly<Record<DecisionKind, object>>): void {
  if (value === null || typeof value !== 'object') throw invalid('$', 'is an object')
  const kind = 'kind' in value ? value.kind : undefined
  if (typeof kind !== 'string' || !Object.hasOwn(schemas, kind)) {
    throw new MeshError('decision_kind_unknown', { detail: `There is no kind ${JSON.stringify(kind)}.` })
  }
  const schema = schemas[kind as DecisionKind]
  const validator = validators.get(schema) ?? Compile(schema)
  validators.set(schema, validator)
  if (!validator.Check(value)) {
    const [fault] = validator.Errors(value)
    throw invalid(toPath(fault?.instancePath ?? ''), fault?.message ?? 'does not have the form of its kind')
  }
  const ts = 'ts' in value ? (value.ts as string) : null
  if (ts !== null && !isTime(ts)) throw invalid('$.ts', 'is a time in UTC that there is, with milliseconds')
}

/** Of what has the form of a time. A day that a month does not have, and an hour of 24, are read as some of the next day. */
function isTime(ts: string): boolean {
  return new Date(ts).getUTCDate() === Number(ts.slice(8, 10))
}

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw notCanonical('It is not well-formed UTF-8.', cause)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw notCanonical('It is not one JSON value.', cause)
  }
}

/** A JSON pointer (RFC 6901) as a path: `/payload/refs/3` is `$.payload.refs[3]`. */
function toPath(pointer: string): string {
  const steps = pointer.split('/').slice(1)
  return steps.reduce((path, step) => (/^[0-9]+$/.test(step) ? `${path}[${step}]` : `${path}.${step}`), '$')
}

function invalid(path: string, rule: string): MeshError {
  return new MeshError('invalid_decision', { detail: `${path} ${rule}.`, data: { path } })
}

function inexact(detail: string, cause?: unknown): MeshError {
  return new MeshError('decision_inexact', { detail, ...(cause === undefined ? {} : { cause }) })
}

function notCanonical(detail: string, cause?: unknown): MeshError {
  return new MeshError('decision_not_canonical', { detail, ...(cause === undefined ? {} : { cause }) })
}
