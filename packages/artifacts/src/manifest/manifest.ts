/**
 * Manifest v1 (06 §4): the sealed record of a finalized package. Its bytes are canonical CBOR, made once; their BLAKE3 is
 * the manifest's digest, and they are never encoded again.
 */
import { Compile, type Validator } from 'typebox/compile'
import { ArtifactError } from '../artifact-error.ts'
import { decodeCanonical, encodeCanonical } from '../canon/cbor.ts'
import { jcs } from '../canon/jcs.ts'
import { assertCanonical, manifestBytesMax } from '../canon/value.ts'
import { type ContentAddress, formatContentAddress } from '../identity/content-address.ts'
import { digestBytes } from '../identity/dual-digest.ts'
import { checkManifest, manifestInvalid } from './manifest-checks.ts'
import { type Manifest, manifestSchema } from './manifest-schema.ts'

let validator: Validator | null = null

/**
 * The bytes of a manifest.
 *
 * @throws ArtifactError `not_canonical`, `manifest_version_unsupported`; `manifest_invalid` with the path of the fault
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  assertManifest(manifest)
  return encodeCanonical(manifest)
}

/**
 * Reads a manifest and checks all that it says about itself.
 *
 * @throws ArtifactError a `cbor_*` code, `manifest_version_unsupported`, `manifest_invalid` with the path of the fault
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const value: unknown = decodeCanonical(bytes, { maxBytes: manifestBytesMax })
  assertManifest(value)
  return value
}

/** The manifest as canonical JSON. @throws as `encodeManifest` */
export function jcsManifest(manifest: Manifest): Uint8Array {
  assertManifest(manifest)
  return jcs(manifest)
}

/** The address of a manifest: `blake3:` over its canonical CBOR. @throws as `encodeManifest` */
export function manifestDigest(manifest: Manifest): ContentAddress {
  return formatContentAddress(digestBytes(encodeManifest(manifest), { primary: 'blake3' }).primary)
}

function assertManifest(value: unknown): asserts value is Manifest {
  assertCanonical(value)
  const version =
    value !== null && typeof value === 'object' && 'manifest_version' in value ? value.manifest_version : 1
  if (version !== 1) {
    throw new ArtifactError('manifest_version_unsupported', {
      path: '$.manifest_version',
      detail: `This version reads manifests of version 1, and this one is of version ${JSON.stringify(version)}.`,
    })
  }
  validator ??= Compile(manifestSchema)
  if (!validator.Check(value)) {
    const [error] = validator.Errors(value)
    throw manifestInvalid(toPath(error?.instancePath ?? ''), error?.message ?? 'does not have the form of a manifest')
  }
  checkManifest(value as Manifest)
}

/** A JSON pointer (RFC 6901) in the way in which this package writes places: `/files/3/x` is `$.files[3].x`. */
function toPath(pointer: string): string {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return steps.reduce((path, step) => (/^[0-9]+$/.test(step) ? `${path}[${step}]` : `${path}.${step}`), '$')
}
