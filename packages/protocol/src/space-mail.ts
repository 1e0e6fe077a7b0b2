/**
 * What members that share a space tell each other about it (07 §4): messages like any others, with one reserved member of meta
 * each. They are for daemons, and enter no inbox.
 */
import { type Static, type TSchema, Type } from 'typebox'
import { canonicalJson, type JsonObject, type JsonValue } from './canonical-json.ts'
import { compileLater } from './compile-later.ts'
import { type Destination, sharedSpaceNamePattern, spaceOf } from './destination.ts'
import { clientMessageIdPattern, ulidPattern } from './ids.ts'

const open = { additionalProperties: true }
const v = Type.Literal(1)
const space = Type.String({ pattern: sharedSpaceNamePattern })
const intentId = Type.String({ pattern: clientMessageIdPattern })
const sequence = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** Where decisions follow: the number of the one before them and its event id; 0 and null for the beginning. */
const place = { after: sequence, after_id: Type.Union([Type.String({ pattern: ulidPattern }), Type.Null()]) }

const schemas = {
  /** Decisions of the space, a line each in the body, as they are in the log: what was appended, or what was asked for. */
  $decision_events: Type.Object({ v, space, ...place }, open),
  /** Asks the holder to append the drafts in the body, if it still has the lease of that epoch. */
  $decision_intent: Type.Object(
    {
      v,
      space,
      epoch: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      intent_id: intentId,
      expect_head: Type.Optional(sequence),
    },
    open,
  ),
  /** The holder does not append what was asked for: why, as a problem in the body. What is appended is told to all followers. */
  $decision_refusal: Type.Object({ v, space, intent_id: intentId }, open),
  /** Asks for the decisions after a place. */
  $decision_request: Type.Object({ v, space, ...place }, open),
} as const satisfies Record<string, TSchema>

type SpaceMailKind = keyof typeof schemas

/** One message about a space, and the body that belongs to it. */
export type SpaceMail = {
  [Kind in SpaceMailKind]: {
    readonly kind: Kind
    readonly about: Static<(typeof schemas)[Kind]>
    readonly body: string
  }
}[SpaceMailKind]

const kinds = Object.keys(schemas) as readonly SpaceMailKind[]
const validators = new Map(kinds.map((kind) => [kind, compileLater(schemas[kind])]))

/** Whether a message is about a space, of whatever form, and for no inbox. @param meta null also where it could not be opened */
export function isSpaceMail(destination: Destination, meta: JsonObject | null): boolean {
  return spaceOf(destination) !== null || (meta !== null && kinds.some((kind) => Object.hasOwn(meta, kind)))
}

/** @returns null for a message of a form that is not known here */
export function readSpaceMail(meta: JsonObject | null, body: string): SpaceMail | null {
  const kind = kinds.find((name) => meta !== null && Object.hasOwn(meta, name))
  if (kind === undefined || meta === null) return null
  const about: unknown = meta[kind]
  return validators.get(kind)?.().Check(about) ? ({ kind, about, body } as SpaceMail) : null
}

/** The canonical form of its meta. */
export function spaceMailMeta({ kind, about }: SpaceMail): string {
  return canonicalJson({ [kind]: about as JsonValue })
}
