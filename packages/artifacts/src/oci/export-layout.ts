/**
 * A finalized package as an OCI image layout (06 §15): one layer for each file, and the manifest of the package as the
 * config. Everything that is written follows from the manifest, so that equal packages give equal bytes.
 */
import { createHash } from 'node:crypto'
import { canonicalizeJson } from '../canon/jcs.ts'
import { type ContentAddress, parseContentAddress } from '../identity/content-address.ts'
import { digestBytes } from '../identity/dual-digest.ts'
import { decodeManifest } from '../manifest/manifest.ts'
import type { Manifest, ManifestFile } from '../manifest/manifest-schema.ts'
import { manifestMediaType, type PayloadSignature } from '../sign/dsse.ts'
import { encodeEnvelope } from '../sign/envelope-json.ts'
import type { Descriptor } from './documents.ts'
import { LayoutWriter } from './layout-writer.ts'
import {
  assertRef,
  contentAddressKey,
  createdKey,
  emptyBlob,
  emptyType,
  envelopeType,
  imageIndexType,
  imageManifestType,
  manifestDigestKey,
  refKey,
  titleKey,
} from './names.ts'

/** What is exported. */
export interface ExportSource {
  /** Of a finalized package, unchanged. */
  readonly manifestBytes: Uint8Array
  /** Over the manifest; they become a referrer of the image. */
  readonly signatures: readonly PayloadSignature[]
  /** The bytes of a file. Called once for each content. */
  readonly read: (address: ContentAddress) => AsyncIterable<Uint8Array>
}

export interface ExportTarget {
  /** New, or empty. */
  readonly directory: string
  /** The name of the image in the layout; the id of the package unless another is asked for. */
  readonly ref?: string
}

/**
 * Writes a layout and returns when it is durable; a failure leaves the place as it was.
 *
 * @returns the digest of the image manifest, as in `sha256:…`
 * @throws ArtifactError `invalid_ref`, `invalid_target`, `object_corrupt`, `insufficient_storage`, `storage_io`; as
 *   `decodeManifest`; errors of the source as they are
 */
export async function exportLayout(source: ExportSource, target: ExportTarget): Promise<{ readonly digest: string }> {
  const manifest = decodeManifest(source.manifestBytes)
  const ref = target.ref ?? manifest.package.package_id
  assertRef(ref)
  const writer = await LayoutWriter.create(target.directory)
  try {
    const image = await writeImage(writer, manifest, source)
    const referrers = source.signatures.length === 0 ? [] : [await writeSignatures(writer, image, source)]
    const manifests = [{ ...image, annotations: { [refKey]: ref } }, ...referrers]
    await writer.finish(canonicalizeJson({ schemaVersion: 2, mediaType: imageIndexType, manifests }))
    return { digest: image.digest }
  } catch (error) {
    await writer.discard()
    throw error
  }
}

async function writeImage(writer: LayoutWriter, manifest: Manifest, source: ExportSource): Promise<Descriptor> {
  const config = await writeBytes(writer, manifestMediaType, source.manifestBytes)
  const layers: Descriptor[] = []
  for (const file of manifest.files) {
    const layer = layerOf(file)
    await writer.writeBlob(layer, () => source.read(parseContentAddress(file.content_address)))
    layers.push(layer)
  }
  if (layers.length === 0) layers.push(await writeBytes(writer, emptyType, emptyBlob))
  const { artifact_type: artifactType } = manifest.package
  const annotations = annotationsOf(manifest, source.manifestBytes)
  const image = { schemaVersion: 2, mediaType: imageManifestType, artifactType, config, layers, annotations }
  return { ...(await writeBytes(writer, imageManifestType, canonicalizeJson(image))), artifactType }
}

function layerOf(file: ManifestFile): Descriptor {
  return {
    mediaType: file.media_type,
    digest: `sha256:${file.digest_sha256}`,
    size: file.size_bytes,
    annotations: { ...file.annotations, [titleKey]: file.relative_path, [contentAddressKey]: file.content_address },
  }
}

function annotationsOf(manifest: Manifest, manifestBytes: Uint8Array): Readonly<Record<string, string>> {
  const { annotations, finalized_at: finalizedAt, name } = manifest.package
  return {
    ...annotations,
    [manifestDigestKey]: `blake3:${digestBytes(manifestBytes, { primary: 'blake3' }).primary.hex}`,
    [createdKey]: new Date(finalizedAt).toISOString(),
    [titleKey]: name,
  }
}

/** The envelope as an artifact that refers to the image, as registries list signatures. */
async function writeSignatures(writer: LayoutWriter, image: Descriptor, source: ExportSource): Promise<Descriptor> {
  const envelope = encodeEnvelope({
    payloadType: manifestMediaType,
    payload: source.manifestBytes,
    signatures: source.signatures,
  })
  const referrer = {
    schemaVersion: 2,
    mediaType: imageManifestType,
    artifactType: envelopeType,
    config: await writeBytes(writer, emptyType, emptyBlob),
    layers: [await writeBytes(writer, envelopeType, envelope)],
    subject: { mediaType: image.mediaType, digest: image.digest, size: image.size },
  }
  return { ...(await writeBytes(writer, imageManifestType, canonicalizeJson(referrer))), artifactType: envelopeType }
}

async function writeBytes(writer: LayoutWriter, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const descriptor = { mediaType, digest, size: bytes.length }
  await writer.writeBlob(descriptor, async function* () {
    yield bytes
  })
  return descriptor
}
