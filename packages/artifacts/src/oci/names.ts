/** What things are called in an OCI image layout: media types and annotations, by the OCI image specification and by us. */
import { ArtifactError } from '../artifact-error.ts'

export const imageManifestType = 'application/vnd.oci.image.manifest.v1+json'
export const imageIndexType = 'application/vnd.oci.image.index.v1+json'
/** What stands where the specification wants a blob and there is nothing to say. */
export const emptyType = 'application/vnd.oci.empty.v1+json'
/** The content of every blob of the empty type. */
export const emptyBlob = Buffer.from('{}')
export const envelopeType = 'application/vnd.dsse.envelope.v1+json'

/** Media types of a manifest and of an index; Docker's have the same members. */
export const manifestTypes: ReadonlySet<string> = new Set([
  imageManifestType,
  'application/vnd.docker.distribution.manifest.v2+json',
])
export const indexTypes: ReadonlySet<string> = new Set([
  imageIndexType,
  'application/vnd.docker.distribution.manifest.list.v2+json',
])

export const titleKey = 'org.opencontainers.image.title'
export const createdKey = 'org.opencontainers.image.created'
export const refKey = 'org.opencontainers.image.ref.name'
export const contentAddressKey = 'io.claudemesh.content-address'
export const manifestDigestKey = 'io.claudemesh.manifest-digest'

/** Annotations that an export writes itself: no package may bring its own. */
export function isReservedAnnotation(key: string): boolean {
  return key.startsWith('org.opencontainers.') || key.startsWith('io.claudemesh.')
}

const refPattern = /^[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:\/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*$/

/** @throws ArtifactError `invalid_ref`: the specification does not take it for a name */
export function assertRef(ref: string): void {
  if (ref.length <= 255 && refPattern.test(ref)) return
  throw new ArtifactError('invalid_ref', {
    detail: 'The name of an image is letters and digits, parted by - . _ : @ + -- or /.',
  })
}
