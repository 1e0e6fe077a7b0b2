/** `/v1/spaces`, `/v1/decisions`: logs of decisions, and the repository that they are in (07 §7). */
import { type Static, Type } from 'typebox'
import { type DecisionDraft, type DecisionEvent, decisionDraftsMax, spaceNamePattern } from '../decision-event.ts'
import { type SpaceState, spaceStateSchema } from '../space-state.ts'
import { closed, timeSchema } from './schemas.ts'

const spaceSchema = Type.String({ pattern: spaceNamePattern })
const sequenceSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const commitSchema = Type.String({ description: 'a commit of git' })
/** What of a fault is told beside other things. */
const faultSchema = Type.Object({ code: Type.String(), detail: Type.String() })

export const spaceParamsSchema = Type.Object({ space: spaceSchema })

/** `is_held`: not given up, and not past its term. `is_own`: this daemon has it. */
export const spaceLeaseSchema = Type.Object({
  holder: Type.String(),
  epoch: Type.Integer({ minimum: 1, description: 'grows by one with every grant' }),
  granted_at: timeSchema,
  expires_at: timeSchema,
  is_held: Type.Boolean(),
  is_own: Type.Boolean(),
})
/**
 * A space that is shared with other members. `holder`: the member that appends for all of them, null when none does or the broker
 * has not been asked yet; `head`: the last decision that the broker has seen; `waits_for`: what somebody here waits for.
 */
const sharedSpaceSchema = Type.Object({
  holder: Type.Union([Type.String(), Type.Null()]),
  holder_name: Type.Union([Type.String(), Type.Null()]),
  is_own: Type.Boolean(),
  epoch: Type.Integer({ minimum: 0, description: 'grows by one with every grant' }),
  head: Type.Union([sequenceSchema, Type.Null()]),
  waits_for: Type.Union([Type.String(), Type.Null()]),
})
/** `seq`: the number of the last decision, 0 when there is none. `damage`: why the log cannot be read to its end. */
export const spaceViewSchema = Type.Object({
  space: spaceSchema,
  seq: sequenceSchema,
  head: Type.Union([commitSchema, Type.Null()]),
  lease: Type.Union([spaceLeaseSchema, Type.Null()]),
  damage: Type.Union([faultSchema, Type.Null()]),
  shared: Type.Union([sharedSpaceSchema, Type.Null()]),
})
export const spaceListQuerySchema = Type.Object(
  { after: Type.Optional(spaceSchema), limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 256, default: 64 })) },
  closed,
)
export const spaceListSchema = Type.Object({
  spaces: Type.Array(spaceViewSchema),
  next: Type.Union([Type.String(), Type.Null()]),
})
export const newSpaceSchema = Type.Object(
  {
    space: spaceSchema,
    shared: Type.Optional(
      Type.Boolean({ description: 'with every member of the mesh that shares a space of this name' }),
    ),
  },
  closed,
)

/** What is wrong with a payload is said by its kind, and with the path to it. */
const newDecisionSchema = Type.Object(
  {
    kind: Type.String({ description: 'overlay, binding, unbinding, alias, merge, fork, state or note' }),
    payload: Type.Object({}, { description: 'what its kind says; docs/spaces.md shows each' }),
  },
  closed,
)
export const appendRequestSchema = Type.Object(
  {
    decisions: Type.Array(newDecisionSchema, { minItems: 1, maxItems: decisionDraftsMax }),
    expect_head: Type.Optional(sequenceSchema),
    sign: Type.Optional(Type.Boolean({ description: "with this member's key" })),
  },
  closed,
)

/** `unknown_actor`: nothing here proves whose keys are the actor's. `revoked`: the mesh no longer trusts the actor. */
const signatureVerdictSchema = Type.Union([
  Type.Literal('unsigned'),
  Type.Literal('verified'),
  Type.Literal('invalid'),
  Type.Literal('unknown_actor'),
  Type.Literal('revoked'),
])
/** As in the log, with what this daemon thinks of its signature. */
const recordedDecisionSchema = Type.Object({
  space: spaceSchema,
  seq: sequenceSchema,
  event_id: Type.String(),
  intent_id: Type.String(),
  kind: Type.String(),
  actor: Type.String(),
  ts: Type.String({ description: 'RFC 3339, UTC, milliseconds' }),
  payload: Type.Object({}),
  sig: Type.Optional(Type.String()),
  signature: signatureVerdictSchema,
})
export const appendedSchema = Type.Object({ events: Type.Array(recordedDecisionSchema) })

export const decisionsQuerySchema = Type.Object(
  {
    after: Type.Optional(sequenceSchema),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  },
  closed,
)
/** `next` of one page is `after` of the next; null: there are no more. */
export const decisionListSchema = Type.Object({
  events: Type.Array(recordedDecisionSchema),
  next: Type.Union([sequenceSchema, Type.Null()]),
})

export const stateQuerySchema = Type.Object(
  { at: Type.Optional({ ...sequenceSchema, description: 'the number of an event; what held after it' }) },
  closed,
)
export { spaceStateSchema }

export const whyQuerySchema = Type.Object(
  { key: Type.String({ minLength: 1, maxLength: 1024, description: 'a key, a target, or a name of either' }) },
  closed,
)
/** `key`: what was asked for stands for this. Without `value` nothing is decided on it, or it was removed. */
export const reasonsSchema = Type.Object({
  key: Type.String(),
  value: Type.Optional(Type.Unknown()),
  decisions: Type.Array(recordedDecisionSchema),
})

export const leaseAnswerSchema = Type.Object({ space: spaceSchema, lease: Type.Union([spaceLeaseSchema, Type.Null()]) })
export const acquireRequestSchema = Type.Object(
  { force: Type.Optional(Type.Boolean({ description: 'from whoever holds it; a note of it is decided' })) },
  closed,
)

export const importedSchema = Type.Object({
  appended: Type.Integer(),
  present: Type.Integer({ description: 'lines that the space had already' }),
})

/** An absolute path, a URL, `host:path`, or the name of a remote of the repository. */
export const remoteRequestSchema = Type.Object({ remote: Type.String({ minLength: 1, maxLength: 4096 }) }, closed)
export const pushedSchema = Type.Object({
  spaces: Type.Array(
    Type.Object({
      space: Type.String(),
      outcome: Type.Union([Type.Literal('pushed'), Type.Literal('unchanged'), Type.Literal('rejected')]),
    }),
  ),
})
export const pulledSchema = Type.Object({
  spaces: Type.Array(
    Type.Object({
      space: Type.String(),
      outcome: Type.Union(
        [Type.Literal('pulled'), Type.Literal('unchanged'), Type.Literal('diverged'), Type.Literal('shared')],
        { description: 'shared: it is decided with other members, and nothing gets into it past them' },
      ),
      events: Type.Integer({ description: 'how many decisions came' }),
    }),
  ),
})
/** `problems`: what git finds wrong, a line each. */
export const repositoryReportSchema = Type.Object({
  problems: Type.Array(Type.String()),
  spaces: Type.Array(
    Type.Object({
      space: Type.String(),
      seq: Type.Integer({ description: 'how many decisions are sound, from the first on' }),
      head: Type.Union([commitSchema, Type.Null()]),
      damage: Type.Union([faultSchema, Type.Null()]),
    }),
  ),
})

/** Whoever decides through a daemon is its member. */
export type NewDecision = DecisionDraft extends infer Draft
  ? Draft extends DecisionDraft
    ? Pick<Draft, 'kind' | 'payload'>
    : never
  : never
export type SignatureVerdict = Static<typeof signatureVerdictSchema>
export type RecordedDecision = DecisionEvent & { readonly signature: SignatureVerdict }
export type SpaceLease = Static<typeof spaceLeaseSchema>
export type SharedSpaceView = Static<typeof sharedSpaceSchema>
export type SpaceView = Static<typeof spaceViewSchema>
export type SpaceList = Static<typeof spaceListSchema>
export type SpaceListQuery = Static<typeof spaceListQuerySchema>
export interface DecisionList {
  readonly events: readonly RecordedDecision[]
  readonly next: number | null
}
export type SpaceReasons = Pick<Static<typeof reasonsSchema>, 'key' | 'value'> & {
  readonly decisions: readonly RecordedDecision[]
}
export type LeaseAnswer = Static<typeof leaseAnswerSchema>
export type ImportedDecisions = Static<typeof importedSchema>
export type PushedSpaces = Static<typeof pushedSchema>
export type PulledSpaces = Static<typeof pulledSchema>
export type RepositoryReport = Static<typeof repositoryReportSchema>
export type { SpaceState }
