/** `/v1/artifacts/packages`, `/files`, `/health`: packages, what is in them, and how their store is (06 §11, §16). */
import { type Static, Type } from 'typebox'
import { closed, timeSchema, ulidSchema } from './schemas.ts'

const bytesSchema = Type.Integer({ minimum: 0 })
const bytesOrNull = Type.Union([bytesSchema, Type.Null()])
const textOrNull = Type.Union([Type.String(), Type.Null()])
const timeOrNull = Type.Union([timeSchema, Type.Null()])
const mapSchema = Type.Record(Type.String(), Type.Unknown())
const textsSchema = Type.Record(Type.String(), Type.String())
const retentionClassSchema = Type.String({ minLength: 1, maxLength: 255 })
/** What the store says more exactly: this only keeps a request from being endless. */
const nameSchema = Type.String({ minLength: 1, maxLength: 1024 })
/** A text of a query: whatever a database can compare with. */
const soughtSchema = Type.String({ minLength: 1, maxLength: 1024, pattern: '^[^\\u0000]*$' })
const pageLimit = Type.Integer({ minimum: 1, maximum: 1000, default: 100 })
/** `next` of one page is `after` of the next; null: this is the last one. */
const nextSchema = textOrNull

export const reasonSchema = Type.String({ minLength: 1, maxLength: 4096, description: 'for whoever looks at it later' })
export const contentAddressSchema = Type.String({
  minLength: 1,
  maxLength: 256,
  description: 'algorithm:digits, as in blake3:<64 lower-case hexadecimal digits>',
})

export const packageParamsSchema = Type.Object({ id: ulidSchema })
export const fileParamsSchema = Type.Object({ id: ulidSchema })
/** Where a file goes; percent-decoded once. */
export const filePathParamsSchema = Type.Object({
  id: ulidSchema,
  '*': Type.String({ description: 'path in the package' }),
})
export const blobParamsSchema = Type.Object({ address: contentAddressSchema })

/** `degraded`: a place for bytes cannot be used. `down`: the store cannot be opened, or its database does not answer. */
export const artifactsHealthSchema = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('degraded'), Type.Literal('down')]),
  registry: Type.Union([ulidSchema, Type.Null()]),
  database: Type.Object({
    engine: Type.Union([Type.Literal('sqlite'), Type.Literal('postgres')]),
    healthy: Type.Boolean(),
  }),
  backends: Type.Array(
    Type.Object({
      backend_id: Type.String(),
      healthy: Type.Boolean(),
      read_only: Type.Boolean(),
      free_bytes: bytesOrNull,
      total_bytes: bytesOrNull,
      detail: textOrNull,
    }),
  ),
})

const pathPolicySchema = Type.Union([Type.Literal('portable'), Type.Literal('posix')])
const provenanceSchema = Type.Object(
  {
    tool: Type.Optional(nameSchema),
    run_id: Type.Optional(nameSchema),
    repository: Type.Optional(nameSchema),
    commit: Type.Optional(nameSchema),
    environment: Type.Optional(textsSchema),
    imported_from: Type.Optional(nameSchema),
  },
  closed,
)
export const newPackageSchema = Type.Object(
  {
    name: nameSchema,
    producer: nameSchema,
    subject: Type.Optional(nameSchema),
    retention_class: retentionClassSchema,
    artifact_type: Type.Optional(nameSchema),
    path_policy: Type.Optional(pathPolicySchema),
    metadata: Type.Optional(mapSchema),
    metadata_schema: Type.Optional(nameSchema),
    annotations: Type.Optional(textsSchema),
    provenance: Type.Optional(provenanceSchema),
  },
  closed,
)

const packageStatusSchema = Type.Union([
  Type.Literal('created'),
  Type.Literal('finalized'),
  Type.Literal('aborted'),
  Type.Literal('garbage_collected'),
])
/** `provenance` as the manifest says it: every member, an absent one null. */
export const artifactPackageSchema = Type.Object({
  package_id: ulidSchema,
  name: Type.String(),
  producer: Type.String(),
  subject: textOrNull,
  status: packageStatusSchema,
  retention_class: Type.String(),
  artifact_type: Type.String(),
  path_policy: pathPolicySchema,
  metadata: mapSchema,
  metadata_schema: textOrNull,
  annotations: textsSchema,
  provenance: mapSchema,
  manifest_digest: textOrNull,
  content_root: textOrNull,
  file_count: Type.Integer(),
  total_size_bytes: bytesSchema,
  created_at: timeSchema,
  finalized_at: timeOrNull,
  last_event_sequence: Type.Integer(),
})
/** `expires_at`: when it may go; null: never. Nothing goes that has a `hold_id`. */
export const retentionSchema = Type.Object({
  package_id: ulidSchema,
  retention_class: Type.String(),
  default_expires_at: timeOrNull,
  expires_at: timeOrNull,
  hold_id: textOrNull,
  hold_reason: textOrNull,
  eligible_for_deletion: Type.Boolean(),
  eligible_at: timeOrNull,
})
export const shownPackageSchema = Type.Object({ ...artifactPackageSchema.properties, retention: retentionSchema })

/** Beside these, `meta.<key>=<value>`: top-level members of the metadata and their values as text. */
export const packageListQuerySchema = Type.Object(
  {
    producer: Type.Optional(soughtSchema),
    subject: Type.Optional(soughtSchema),
    retention_class: Type.Optional(soughtSchema),
    status: Type.Optional(packageStatusSchema),
    after: Type.Optional(ulidSchema),
    limit: Type.Optional(pageLimit),
  },
  { ...closed, patternProperties: { '^meta\\.[^\\u0000]{1,255}$': soughtSchema } },
)
export const packageListSchema = Type.Object({ packages: Type.Array(artifactPackageSchema), next: nextSchema })

export const artifactFileSchema = Type.Object({
  file_id: ulidSchema,
  package_id: ulidSchema,
  relative_path: Type.String(),
  media_type: Type.String(),
  size_bytes: bytesSchema,
  content_address: Type.String(),
  sha256: Type.String({ description: 'lower-case hexadecimal digits' }),
  annotations: textsSchema,
  state: Type.Union([Type.Literal('live'), Type.Literal('replaced'), Type.Literal('removed')]),
  created_at: timeSchema,
})
export const fileListQuerySchema = Type.Object(
  { after: Type.Optional(soughtSchema), limit: Type.Optional(pageLimit) },
  closed,
)
export const fileListSchema = Type.Object({ files: Type.Array(artifactFileSchema), next: nextSchema })

export const putFileQuerySchema = Type.Object({ replace: Type.Optional(Type.Boolean()) }, closed)
/** A file whose bytes are in the store already. */
export const existingFileSchema = Type.Object(
  {
    relative_path: nameSchema,
    content_address: contentAddressSchema,
    media_type: Type.Optional(nameSchema),
    replace: Type.Optional(Type.Boolean()),
    annotations: Type.Optional(textsSchema),
  },
  closed,
)
/** `deduplicated`: the bytes were here before. */
export const ingestedFileSchema = Type.Object({
  file_id: ulidSchema,
  relative_path: Type.String(),
  content_address: Type.String(),
  sha256: Type.String({ description: 'lower-case hexadecimal digits' }),
  size_bytes: bytesSchema,
  deduplicated: Type.Boolean(),
  replaced_file_id: Type.Union([ulidSchema, Type.Null()]),
})
export const removeFileQuerySchema = Type.Object({ reason: Type.Optional(reasonSchema) }, closed)

/** A file that comes in pieces. */
export const newUploadSchema = Type.Object(
  {
    relative_path: nameSchema,
    media_type: Type.Optional(nameSchema),
    size_bytes: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    expected: Type.Optional(contentAddressSchema),
  },
  closed,
)
/** `offset`: bytes that are durable, and where the next ones go. */
export const uploadSchema = Type.Object({
  upload_id: ulidSchema,
  package_id: ulidSchema,
  relative_path: Type.String(),
  media_type: Type.String(),
  size_bytes: bytesOrNull,
  expected: textOrNull,
  offset: bytesSchema,
  expires_at: timeSchema,
})

/** `verify`: that the bytes are there with their size (`head`), all of them (`full`), or nothing. */
export const finalizeRequestSchema = Type.Object(
  {
    verify: Type.Optional(Type.Union([Type.Literal('head'), Type.Literal('full'), Type.Literal('none')])),
    allow_empty: Type.Optional(Type.Boolean()),
  },
  closed,
)
/** `is_new` false: it was finalized before, with this manifest. */
export const finalizedSchema = Type.Object({
  package_id: ulidSchema,
  manifest_digest: Type.String(),
  is_new: Type.Boolean(),
})
export const abortRequestSchema = Type.Object({ reason: Type.Optional(reasonSchema) }, closed)

export type ArtifactsHealth = Static<typeof artifactsHealthSchema>
export type NewArtifactPackage = Static<typeof newPackageSchema>
export type ArtifactPackage = Static<typeof artifactPackageSchema>
export type ArtifactRetention = Static<typeof retentionSchema>
export type ShownPackage = Static<typeof shownPackageSchema>
export type PackageListQuery = Static<typeof packageListQuerySchema>
export type PackageList = Static<typeof packageListSchema>
export type ArtifactFile = Static<typeof artifactFileSchema>
export type FileListQuery = Static<typeof fileListQuerySchema>
export type FileList = Static<typeof fileListSchema>
export type ExistingArtifactFile = Static<typeof existingFileSchema>
export type IngestedArtifactFile = Static<typeof ingestedFileSchema>
export type NewArtifactUpload = Static<typeof newUploadSchema>
export type ArtifactUpload = Static<typeof uploadSchema>
export type FinalizeRequest = Static<typeof finalizeRequestSchema>
export type FinalizedPackage = Static<typeof finalizedSchema>
