/**
 * The JSON documents of an OCI image layout. Of what others wrote, members that are not known here are ignored; those that
 * are must be of the type that the specification gives them.
 */
import { type Static, type TSchema, Type } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { ArtifactError } from '../artifact-error.ts'
import { manifestBytesMax } from '../canon/value.ts'

/** No document may have more bytes: one with 50,000 files has some 20 million. */
export const documentBytesMax = manifestBytesMax

const annotationsSchema = Type.Optional(Type.Record(Type.String(), Type.String()))
const mediaTypeSchema = Type.String({ minLength: 1, maxLength: 255 })

const descriptorSchema = Type.Object({
  mediaType: mediaTypeSchema,
  digest: Type.String({ maxLength: 256 }),
  size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  artifactType: Type.Optional(mediaTypeSchema),
  annotations: annotationsSchema,
})

/** What names a blob: its type, its digest and its size in bytes. */
export type Descriptor = Static<typeof descriptorSchema>

const layoutSchema = Type.Object({ imageLayoutVersion: Type.String() })

const indexSchema = Type.Object({
  schemaVersion: Type.Literal(2),
  mediaType: Type.Optional(mediaTypeSchema),
  manifests: Type.Array(descriptorSchema),
  annotations: annotationsSchema,
})

const manifestSchema = Type.Object({
  schemaVersion: Type.Literal(2),
  mediaType: Type.Optional(mediaTypeSchema),
  artifactType: Type.Optional(mediaTypeSchema),
  config: descriptorSchema,
  layers: Type.Array(descriptorSchema),
  subject: Type.Optional(descriptorSchema),
  annotations: annotationsSchema,
})

export type ImageManifest = Static<typeof manifestSchema>

/** @throws ArtifactError `invalid_layout` */
export const parseLayoutFile = parserOf('oci-layout', layoutSchema)
/** @throws ArtifactError `invalid_layout` */
export const parseIndex = parserOf('an image index', indexSchema)
/** @throws ArtifactError `invalid_layout` */
export const parseManifest = parserOf('an image manifest', manifestSchema)

/** Why a layout is refused; stable. */
export type LayoutFault =
  | 'version'
  | 'missing'
  | 'not_a_file'
  | 'too_large'
  | 'json'
  | 'schema'
  | 'media_type'
  | 'too_deep'
  | 'too_many'
  | 'ref'
  | 'config'

/** The error of a directory that is no image layout, or one with a fault. */
export function invalidLayout(reason: LayoutFault, detail: string, cause?: unknown): ArtifactError {
  return new ArtifactError('invalid_layout', { reason, detail: `The OCI image layout is not valid. ${detail}`, cause })
}

function parserOf<Schema extends TSchema>(name: string, schema: Schema): (bytes: Uint8Array) => Static<Schema> {
  // Compiled at its first use: most processes never see a layout.
  let validator: Validator | null = null
  return (bytes) => {
    let value: unknown
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    } catch (cause) {
      throw invalidLayout('json', `What should be ${name} is not JSON in UTF-8.`, cause)
    }
    validator ??= Compile(schema)
    if (!validator.Check(value)) {
      const [error] = validator.Errors(value)
      throw invalidLayout(
        'schema',
        `What should be ${name} is none: ${error?.instancePath ?? ''} ${error?.message ?? ''}.`,
      )
    }
    return value as Static<Schema>
  }
}
