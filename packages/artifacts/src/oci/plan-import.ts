/**
 * What importing an OCI image layout would make (06 §15), looked at to the end before anything is made: every blob is
 * read and checked, every path may stand where it should. Whoever carries the plan out ingests each file with its digest
 * as what is expected, so that what changes on the disk in between is refused too.
 */
import { ArtifactError } from '../artifact-error.ts'
import type { DigestPair } from '../identity/dual-digest.ts'
import { decodeManifest } from '../manifest/manifest.ts'
import type { Manifest } from '../manifest/manifest-schema.ts'
import { PathSet } from '../paths/path-conflicts.ts'
import { normalizeRelativePath, type PathPolicy } from '../paths/relative-path.ts'
import { manifestMediaType } from '../sign/dsse.ts'
import { type Descriptor, invalidLayout } from './documents.ts'
import { type FoundImage, findImages } from './find-images.ts'
import { foreignAnnotations, foreignMediaType, foreignName } from './foreign.ts'
import { blobDigest, LayoutReader } from './layout-reader.ts'
import { emptyType, envelopeType, imageManifestType, titleKey } from './names.ts'

export interface PlannedFile {
  readonly relativePath: string
  readonly mediaType: string
  readonly digests: DigestPair
  readonly annotations: Readonly<Record<string, string>>
  /** The bytes as they are on the disk when it is read, which `digests` does not vouch for. */
  readonly read: () => AsyncIterable<Uint8Array>
}

export interface PlannedPackage {
  /** For the provenance: the digest of the image manifest, as in `oci:sha256:…`. */
  readonly importedFrom: string
  /** The name in the layout; null when it has none. */
  readonly ref: string | null
  /** The title of the image, else its ref, else its digest. */
  readonly name: string
  readonly artifactType: string
  readonly pathPolicy: PathPolicy
  readonly annotations: Readonly<Record<string, string>>
  /** What the package was where it was exported; null for an image of others. */
  readonly manifest: Manifest | null
  readonly files: readonly PlannedFile[]
}

export interface PlanImportOptions {
  /** Only what the layout lists by this name. */
  readonly ref?: string
  /** For images of others; ours say it themselves. `portable` by default. */
  readonly pathPolicy?: PathPolicy
}

/**
 * One package for each image manifest. Signatures that refer to one are passed over: they are of the manifest that was
 * exported, and an imported package gets one of its own.
 *
 * @throws ArtifactError `invalid_layout`, `algorithm_unsupported`, `invalid_content_address`, `size_mismatch`,
 *   `digest_mismatch`, `invalid_path`, `duplicate_path`, `path_collision`, `storage_io`; as `decodeManifest`
 */
export async function planImport(directory: string, o: PlanImportOptions = {}): Promise<PlannedPackage[]> {
  const reader = await LayoutReader.open(directory)
  const planned: PlannedPackage[] = []
  for (const image of await findImages(reader, o.ref)) {
    const isSignature = image.manifest.subject !== undefined && image.manifest.artifactType === envelopeType
    const found = await planPackage(reader, image, o.pathPolicy ?? 'portable')
    if (!isSignature) planned.push(found)
  }
  return planned
}

async function planPackage(reader: LayoutReader, image: FoundImage, policy: PathPolicy): Promise<PlannedPackage> {
  const { manifest: document, descriptor, ref } = image
  const manifest = await readConfig(reader, document.config)
  const pathPolicy = manifest?.package.path_policy ?? policy
  const files = await planFiles(reader, document.layers, { manifest, pathPolicy })
  const common = { importedFrom: `oci:${descriptor.digest}`, ref, pathPolicy, manifest, files }
  if (manifest !== null) {
    const { name, artifact_type: artifactType, annotations } = manifest.package
    return { ...common, name, artifactType, annotations }
  }
  return {
    ...common,
    name: foreignName(document.annotations?.[titleKey]) ?? foreignName(ref) ?? descriptor.digest,
    artifactType: foreignMediaType(document.artifactType ?? document.config.mediaType) ?? imageManifestType,
    annotations: foreignAnnotations(document.annotations),
  }
}

/** The manifest in a config of ours; of others the config is only checked. */
async function readConfig(reader: LayoutReader, config: Descriptor): Promise<Manifest | null> {
  if (config.mediaType === manifestMediaType) return decodeManifest(await reader.readDocument(config))
  await reader.checkBlob(config, 'blake3')
  return null
}

interface Layers {
  readonly manifest: Manifest | null
  readonly pathPolicy: PathPolicy
}

async function planFiles(reader: LayoutReader, layers: readonly Descriptor[], o: Layers): Promise<PlannedFile[]> {
  const files: PlannedFile[] = []
  const paths = new PathSet()
  const untitled = new Set<string>()
  for (const layer of layers) {
    const ours = o.manifest?.files[files.length]
    const digests = await reader.checkBlob(layer, ours?.digest_algorithm ?? 'blake3')
    const title = layer.annotations?.[titleKey]
    if (title === undefined) {
      // Images repeat layers, and without a title two of the same content are one file.
      if (layer.mediaType === emptyType || untitled.has(layer.digest)) continue
      untitled.add(layer.digest)
    }
    const path = normalizeRelativePath(title ?? blobDigest(layer).hex, o.pathPolicy)
    const conflict = paths.add(path)
    if (conflict !== null) {
      throw new ArtifactError(conflict, {
        detail: `The image has ${path.relative_path} beside a path it collides with.`,
      })
    }
    files.push({
      relativePath: path.relative_path,
      mediaType: ours?.media_type ?? foreignMediaType(layer.mediaType) ?? 'application/octet-stream',
      digests,
      annotations: ours?.annotations ?? foreignAnnotations(layer.annotations),
      read: () => reader.readBlob(layer),
    })
  }
  if (o.manifest !== null) assertFiles(files, o.manifest)
  return files
}

/** An image of ours has the files of its config, in their order; so that both have one content root. */
function assertFiles(files: readonly PlannedFile[], manifest: Manifest): void {
  const isSame =
    files.length === manifest.files.length &&
    manifest.files.every((file, index) => {
      const { relativePath, digests } = files[index] as PlannedFile
      return (
        relativePath === file.relative_path &&
        digests.sizeBytes === file.size_bytes &&
        digests.sha256.hex === file.digest_sha256 &&
        digests.primary.hex === file.digest_primary
      )
    })
  if (!isSame) throw invalidLayout('config', 'An image has other layers than the files that its config names.')
}
