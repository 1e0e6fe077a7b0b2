/** `/v1/artifacts`: how long packages are kept, looking after the store, and the log of what was done (06 §5, §13, §16). */
import { type Static, Type } from 'typebox'
import { reasonSchema } from './artifacts.ts'
import { closed, timeSchema, ulidSchema } from './schemas.ts'

const countSchema = Type.Integer({ minimum: 0 })
const sequenceSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

export const extensionRequestSchema = Type.Object({ expires_at: timeSchema, reason: reasonSchema }, closed)
export const holdRequestSchema = Type.Object({ reason: reasonSchema }, closed)
export const heldSchema = Type.Object({ package_id: ulidSchema, hold_id: ulidSchema })
export const holdParamsSchema = Type.Object({ hold: ulidSchema })
export const releaseQuerySchema = Type.Object({ reason: Type.Optional(reasonSchema) }, closed)

/** Packages that were marked: past their expiry, and not held. */
export const sweptSchema = Type.Object({ marked: Type.Array(ulidSchema) })

export const collectRequestSchema = Type.Object({ dry_run: Type.Optional(Type.Boolean()) }, closed)
/** `packages` were released, `objects` deleted; with `dry_run`, those that would be. */
export const collectionSchema = Type.Object({
  packages: Type.Array(ulidSchema),
  objects: Type.Array(
    Type.Object({ backend_id: Type.String(), content_address: Type.String(), size_bytes: countSchema }),
  ),
})

/** One of the two. */
export const verifyRequestSchema = Type.Object(
  { package_id: Type.Optional(ulidSchema), file_id: Type.Optional(ulidSchema) },
  closed,
)
const locationSchema = Type.Object({
  storage_location_id: ulidSchema,
  file_id: ulidSchema,
  backend_id: Type.String(),
  content_address: Type.String(),
  outcome: Type.Union([Type.Literal('verified'), Type.Literal('missing'), Type.Literal('corrupt')]),
})
export const verifiedSchema = Type.Object({ locations: Type.Array(locationSchema) })

export const scrubRequestSchema = Type.Object(
  {
    bytes_per_second: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
    objects_max: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  },
  closed,
)
/** `changed`: locations whose outcome is another than before. */
export const scrubbedSchema = Type.Object({
  objects: countSchema,
  bytes: countSchema,
  changed: Type.Array(locationSchema),
})

/** With `up_to` the views are computed apart, as they were when that event was written, and stay as they are. */
export const replayRequestSchema = Type.Object({ up_to: Type.Optional(sequenceSchema) }, closed)
/** `unknown`: events of types that this version does not know; they change nothing. */
export const replayedSchema = Type.Object({
  applied: countSchema,
  unknown: countSchema,
  last_sequence: sequenceSchema,
  chain_digest: Type.String({ description: 'lower-case hexadecimal digits' }),
})

/** `logical_bytes`: what packages say that they hold. `physical_bytes`: what is stored, each content once. */
export const artifactStatsSchema = Type.Object({
  packages: countSchema,
  files: countSchema,
  logical_bytes: countSchema,
  physical_bytes: countSchema,
  objects: countSchema,
  unreferenced_bytes: countSchema,
})

export const artifactEventsQuerySchema = Type.Object(
  {
    since: Type.Optional(sequenceSchema),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  },
  closed,
)
/** One event of the log. `payload` is canonical JSON (RFC 8785) of the canonical CBOR that is in the log. */
export const artifactEventSchema = Type.Object({
  sequence: sequenceSchema,
  created_at: timeSchema,
  event_type: Type.String(),
  subject_kind: Type.String(),
  subject_id: Type.String(),
  actor: Type.String(),
  payload: Type.Record(Type.String(), Type.Unknown()),
  payload_digest: Type.String({ description: 'BLAKE3 of the CBOR, lower-case hexadecimal digits' }),
  chain_digest: Type.String(),
})
export const artifactEventListSchema = Type.Object({ events: Type.Array(artifactEventSchema) })

export type ExtensionRequest = Static<typeof extensionRequestSchema>
export type HeldPackage = Static<typeof heldSchema>
export type SweptPackages = Static<typeof sweptSchema>
export type ArtifactCollection = Static<typeof collectionSchema>
export type VerifyRequest = Static<typeof verifyRequestSchema>
export type VerifiedLocations = Static<typeof verifiedSchema>
export type ScrubRequest = Static<typeof scrubRequestSchema>
export type ScrubbedObjects = Static<typeof scrubbedSchema>
export type ReplayedLog = Static<typeof replayedSchema>
export type ArtifactStats = Static<typeof artifactStatsSchema>
export type ArtifactEvent = Static<typeof artifactEventSchema>
export type ArtifactEventList = Static<typeof artifactEventListSchema>
