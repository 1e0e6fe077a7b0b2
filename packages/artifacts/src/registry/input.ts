/** What callers give, checked before anything is read or locked (06 §11, §16). */
import { isClientMessageId } from '@claudemesh/protocol'
import { ArtifactError } from '../artifact-error.ts'
import { jcs } from '../canon/jcs.ts'
import { assertCanonical, type CanonicalMap, type CanonicalValue } from '../canon/value.ts'
import type { Limits } from '../config/limits.ts'
import { isReservedAnnotation } from '../oci/names.ts'

/** RFC 6838, lower case, without parameters. */
const mediaTypePattern = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/

/** @throws ArtifactError `invalid_request` naming the member */
export function checkName(member: string, value: unknown, limits: Limits): string {
  return checkText(member, value, limits.nameLengthMax)
}

/** @throws ArtifactError `invalid_request` naming the member */
export function checkText(member: string, value: unknown, lengthMax: number): string {
  if (typeof value !== 'string' || value === '') throw invalid(member, 'is a text of at least one character')
  if (value.length > lengthMax) throw invalid(member, `has at most ${lengthMax} characters`)
  if (!value.isWellFormed() || value.includes('\u0000')) throw invalid(member, 'is well-formed text without U+0000')
  return value
}

/** @throws ArtifactError `invalid_request` */
export function checkActor(actor: unknown): string {
  return checkText('actor', actor, 1024)
}

/** @throws ArtifactError `invalid_request` */
export function checkMediaType(member: string, value: unknown): string {
  if (typeof value !== 'string' || !mediaTypePattern.test(value)) {
    throw invalid(member, 'is a media type in lower case without parameters, as in text/plain')
  }
  return value
}

/** @throws ArtifactError `reason_required`, `invalid_request` */
export function checkReason(reason: unknown, limits: Limits): string {
  if (reason === undefined || reason === null || reason === '') throw new ArtifactError('reason_required')
  return checkText('reason', reason, limits.reasonLengthMax)
}

/** @throws ArtifactError `invalid_request` */
export function checkIdempotencyKey(key: unknown): string {
  if (typeof key !== 'string' || !isClientMessageId(key)) {
    throw invalid('idempotencyKey', 'is 1 to 255 visible ASCII characters')
  }
  return key
}

/** @throws ArtifactError `annotation_reserved`, `too_large`, `invalid_request`, `not_canonical` */
export function checkAnnotations(annotations: unknown, limits: Limits): Readonly<Record<string, string>> {
  assertCanonical(annotations)
  if (!isMap(annotations)) throw invalid('annotations', 'is a map of texts')
  const entries = Object.entries(annotations)
  if (entries.length > limits.annotationsMax) throw tooLarge('annotations', `${limits.annotationsMax} entries`)
  for (const [key, value] of entries) {
    if (key === '' || typeof value !== 'string') throw invalid('annotations', 'is a map of texts')
    if (isReservedAnnotation(key)) {
      throw new ArtifactError('annotation_reserved', { path: `$.annotations[${JSON.stringify(key)}]` })
    }
    if (Buffer.byteLength(key) > limits.annotationKeyBytesMax) {
      throw tooLarge('annotations', `${limits.annotationKeyBytesMax} bytes in a key`)
    }
    if (Buffer.byteLength(value) > limits.annotationValueBytesMax) {
      throw tooLarge('annotations', `${limits.annotationValueBytesMax} bytes in a value`)
    }
  }
  return annotations as Readonly<Record<string, string>>
}

/** @throws ArtifactError `metadata_invalid`, `too_large`, `not_canonical` */
export function checkMetadata(metadata: unknown, limits: Limits): CanonicalMap {
  assertCanonical(metadata)
  if (!isMap(metadata)) throw new ArtifactError('metadata_invalid', { path: '$', detail: 'Metadata is a map.' })
  if (jcs(metadata).length > limits.metadataBytesMax) throw tooLarge('metadata', `${limits.metadataBytesMax} bytes`)
  if (nesting(metadata) > limits.metadataNestingMax) throw tooLarge('metadata', `${limits.metadataNestingMax} levels`)
  return metadata
}

export interface Provenance {
  readonly tool?: string | null
  readonly runId?: string | null
  readonly repository?: string | null
  readonly commit?: string | null
  readonly environment?: Readonly<Record<string, string>>
  readonly importedFrom?: string | null
}

/** As a manifest says it: every member, an absent one null. @throws ArtifactError `invalid_request`, `not_canonical` */
export function checkProvenance(provenance: Provenance) {
  const member = (name: string, value: string | null | undefined) =>
    value === undefined || value === null ? null : checkText(`provenance.${name}`, value, 1024)
  const environment: unknown = provenance.environment ?? {}
  assertCanonical(environment)
  if (!isMap(environment) || Object.values(environment).some((value) => typeof value !== 'string')) {
    throw invalid('provenance.environment', 'is a map of texts')
  }
  return {
    tool: member('tool', provenance.tool),
    run_id: member('runId', provenance.runId),
    repository: member('repository', provenance.repository),
    commit: member('commit', provenance.commit),
    environment: environment as Readonly<Record<string, string>>,
    imported_from: member('importedFrom', provenance.importedFrom),
  }
}

/** How many rows a page has: at least one, at most what a page may have. @throws ArtifactError `invalid_request` */
export function checkLimit(limit: number | undefined, limits: Limits): number {
  if (limit === undefined) return Math.min(100, limits.pageRowsMax)
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > limits.pageRowsMax) {
    throw invalid('limit', `is a number from 1 to ${limits.pageRowsMax}`)
  }
  return limit
}

export function invalid(member: string, rule: string): ArtifactError {
  return new ArtifactError('invalid_request', { path: `$.${member}`, detail: `${member} ${rule}.` })
}

function tooLarge(member: string, most: string): ArtifactError {
  return new ArtifactError('too_large', { path: `$.${member}`, detail: `${member} may have at most ${most}.` })
}

function isMap(value: CanonicalValue): value is CanonicalMap {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** Containers within containers. The value is canonical, so it is not deep. */
function nesting(value: CanonicalValue): number {
  if (value === null || typeof value !== 'object') return 0
  return 1 + Math.max(0, ...Object.values(value as CanonicalMap).map(nesting))
}
