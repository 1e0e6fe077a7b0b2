/** The form of manifest v1 (06 §4): every key is required, no other is allowed, an absent value is null. */
import { type Static, Type } from 'typebox'
import type { CanonicalMap } from '../canon/value.ts'

/** Of the manifests that this version writes; it reads no other. */
export const manifestVersion = 1

const closed = { additionalProperties: false }
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])

const ulid = Type.String({ pattern: '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' })
const name = Type.String({ minLength: 1, maxLength: 255 })
/** Milliseconds since the epoch, UTC. */
const time = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const sequence = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const texts = Type.Record(Type.String(), Type.String())
/** RFC 6838, lower case, without parameters. */
const mediaType = Type.String({ pattern: '^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$' })
const address = Type.String({ minLength: 1, maxLength: 256 })

const packageSchema = Type.Object(
  {
    package_id: ulid,
    name,
    producer: name,
    subject: nullable(name),
    artifact_type: mediaType,
    retention_class: name,
    path_policy: Type.Union([Type.Literal('portable'), Type.Literal('posix')]),
    created_at: time,
    finalized_at: time,
    file_count: count,
    total_size_bytes: count,
    content_root: address,
    metadata: Type.Unsafe<CanonicalMap>(Type.Record(Type.String(), Type.Unknown())),
    annotations: texts,
  },
  closed,
)

const fileSchema = Type.Object(
  {
    relative_path: Type.String(),
    media_type: mediaType,
    size_bytes: count,
    digest_algorithm: Type.String(),
    digest_primary: Type.String(),
    digest_sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    content_address: address,
    annotations: texts,
  },
  closed,
)

const receiptSchema = Type.Object(
  {
    content_address: address,
    backend_id: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }),
    // Relative, in whatever the backend calls a name; never a path of the host.
    object_key: Type.String({ pattern: '^(?!/)(?!(?:.*/)?\\.\\.?(?:/|$)).+$', maxLength: 1024 }),
    size_bytes: count,
    stored_at: time,
  },
  closed,
)

const retentionSchema = Type.Object(
  {
    retention_class: name,
    default_duration_seconds: nullable(count),
    expires_at: nullable(time),
    held: Type.Boolean(),
  },
  closed,
)

const text = Type.String({ minLength: 1, maxLength: 1024 })

const provenanceSchema = Type.Object(
  {
    registry_id: nullable(ulid),
    actor: nullable(text),
    tool: nullable(text),
    run_id: nullable(text),
    repository: nullable(text),
    commit: nullable(text),
    environment: texts,
    imported_from: nullable(text),
    first_event_sequence: sequence,
    last_event_sequence: sequence,
  },
  closed,
)

export const manifestSchema = Type.Object(
  {
    manifest_version: Type.Literal(manifestVersion),
    package: packageSchema,
    files: Type.Array(fileSchema),
    storage_receipts: Type.Array(receiptSchema),
    retention_summary: retentionSchema,
    provenance: provenanceSchema,
  },
  closed,
)

/** What a finalized package is: its files by content, where their bytes were put, how long they are kept, who made it. */
export type Manifest = Static<typeof manifestSchema>
export type ManifestFile = Static<typeof fileSchema>
export type ManifestReceipt = Static<typeof receiptSchema>
