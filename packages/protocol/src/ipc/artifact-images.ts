/** `/v1/artifacts`: packages as OCI image layouts, in directories of this host (06 §15). */
import { type Static, Type } from 'typebox'
import { closed, ulidSchema } from './schemas.ts'

const directorySchema = Type.String({
  minLength: 1,
  maxLength: 4096,
  description: 'an absolute path on the host of the daemon',
})
const refSchema = Type.String({ minLength: 1, maxLength: 255, description: 'the name of an image in the layout' })
const nameSchema = Type.String({ minLength: 1, maxLength: 1024 })

/** `directory` is new, or empty. `ref`: the id of the package unless another is asked for. */
export const exportImageRequestSchema = Type.Object(
  { directory: directorySchema, ref: Type.Optional(refSchema) },
  closed,
)
export const exportedImageSchema = Type.Object({
  package_id: ulidSchema,
  image_digest: Type.String({ description: 'of the image manifest, as in sha256:…' }),
})

/** `ref`: only what the layout lists by this name. `producer` and `path_policy` are those of images of others. */
export const importImagesRequestSchema = Type.Object(
  {
    directory: directorySchema,
    ref: Type.Optional(refSchema),
    producer: nameSchema,
    retention_class: Type.String({ minLength: 1, maxLength: 255 }),
    path_policy: Type.Optional(Type.Union([Type.Literal('portable'), Type.Literal('posix')])),
  },
  closed,
)
/** One package for each image. `imported_from`: the digest of its manifest, as in oci:sha256:…. */
export const importedImagesSchema = Type.Object({
  packages: Type.Array(
    Type.Object({
      package_id: ulidSchema,
      manifest_digest: Type.String(),
      imported_from: Type.String(),
      ref: Type.Union([Type.String(), Type.Null()]),
    }),
  ),
})

export type ExportImageRequest = Static<typeof exportImageRequestSchema>
export type ExportedImage = Static<typeof exportedImageSchema>
export type ImportImagesRequest = Static<typeof importImagesRequestSchema>
export type ImportedImages = Static<typeof importedImagesSchema>
