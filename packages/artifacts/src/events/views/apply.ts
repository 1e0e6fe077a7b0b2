/**
 * What each event changes in the views (06 §5): the only writer of them, for new events and for replayed ones. It reads
 * the event and the views, and nothing else: no clock, no chance, no configuration, no backend.
 */

import { jcs } from '../../canon/jcs.ts'
import type { CanonicalMap, CanonicalValue } from '../../canon/value.ts'
import type { Session } from '../../db/spi.ts'
import { formatContentAddress, makeDigest } from '../../identity/content-address.ts'
import type { Manifest } from '../../manifest/manifest-schema.ts'
import { type ShareEvent, shareMoves } from '../../shares/states.ts'
import { type Event, payloadOf } from '../event.ts'
import * as rows from './statements.ts'

type Apply = (session: Session, event: Event, payload: CanonicalMap) => Promise<void>

const appliers: Readonly<Record<string, Apply>> = {
  'v1.package.created': createPackage,
  'v1.retention.default_applied': applyDefaultRetention,
  'v1.file.ingested': ingestFile,
  'v1.file.removed': removeFile,
  'v1.package.finalized': finalizePackage,
  'v1.package.aborted': (session, event, payload) => endPackage(session, event, payload, 'aborted'),
  'v1.package.garbage_collected': (session, event, payload) => endPackage(session, event, payload, 'garbage_collected'),
  'v1.package.signed': signPackage,
  'v1.retention.extended': async (session, { sequence }, p) =>
    rows.extendRetention(session, {
      packageId: text(p, 'package_id'),
      expiresAt: integer(p, 'new_expires_at'),
      sequence,
    }),
  'v1.retention.hold_applied': async (session, { sequence }, p) =>
    rows.setHold(session, {
      packageId: text(p, 'package_id'),
      holdId: text(p, 'hold_id'),
      reason: text(p, 'reason'),
      sequence,
    }),
  'v1.retention.hold_released': async (session, { sequence }, p) =>
    rows.setHold(session, { packageId: text(p, 'package_id'), holdId: null, reason: null, sequence }),
  'v1.retention.eligibility_marked': async (session, { sequence }, p) =>
    rows.markEligible(session, { packageId: text(p, 'package_id'), markedAt: integer(p, 'marked_at'), sequence }),
  'v1.storage.location_added': (session, event, p) =>
    addLocation(session, event, { receipt: p, fileId: text(p, 'file_id'), packageId: text(p, 'package_id') }),
  'v1.storage.tier_changed': async (session, { sequence }, p) =>
    rows.setTier(session, {
      locationId: text(p, 'storage_location_id'),
      tier: text(p, 'retrieval_tier'),
      restoreStatus: textOrNull(p, 'restore_status'),
      sequence,
    }),
  'v1.storage.location_verified': verifyLocation,
  'v1.storage.location_deleted': async (session, { sequence, created_at }, p) =>
    rows.setDeleted(session, { locationId: text(p, 'storage_location_id'), at: created_at, sequence }),
  'v1.share.created': addShare,
  'v1.share.uploaded': moveShare,
  'v1.share.sent': moveShare,
  'v1.share.received': addShare,
  'v1.share.fetched': moveShare,
  'v1.share.revoked': moveShare,
}

/**
 * Writes what an event changes.
 *
 * @returns false for a type that this version does not know: it changes nothing
 */
export async function applyEvent(session: Session, event: Event): Promise<boolean> {
  const apply = appliers[event.event_type]
  if (apply === undefined) return false
  const payload = payloadOf(event)
  await apply(session, event, payload)
  // Where bytes are and who gets them is no change of the package that they belong to.
  const isOfPackage = event.subject_kind === 'package' || event.subject_kind === 'file'
  if (isOfPackage && typeof payload['package_id'] === 'string') {
    await rows.touchPackage(session, payload['package_id'], event.sequence)
  }
  return true
}

async function createPackage(session: Session, event: Event, p: CanonicalMap): Promise<void> {
  await rows.insertRow(session, 'artifact_packages', {
    package_id: text(p, 'package_id'),
    name: text(p, 'name'),
    producer: text(p, 'producer'),
    subject: textOrNull(p, 'subject'),
    status: 'created',
    retention_class: text(p, 'retention_class'),
    artifact_type: text(p, 'artifact_type'),
    path_policy: text(p, 'path_policy'),
    metadata: json(p['metadata']),
    metadata_schema: textOrNull(p, 'metadata_schema'),
    annotations: json(p['annotations']),
    provenance: json(p['provenance']),
    file_count: 0,
    total_size_bytes: 0,
    created_at: event.created_at,
    last_event_sequence: event.sequence,
  })
}

async function applyDefaultRetention(session: Session, event: Event, p: CanonicalMap): Promise<void> {
  const expiresAt = integerOrNull(p, 'expires_at')
  await rows.insertRow(session, 'retention_state', {
    package_id: text(p, 'package_id'),
    retention_class: text(p, 'retention_class'),
    default_expires_at: expiresAt,
    current_expires_at: expiresAt,
    eligible_for_deletion: false,
    last_event_sequence: event.sequence,
  })
}

async function ingestFile(session: Session, event: Event, p: CanonicalMap): Promise<void> {
  const { sequence } = event
  const fileId = text(p, 'file_id')
  const packageId = text(p, 'package_id')
  const replaced = textOrNull(p, 'replaces_file_id')
  // First: the path belongs to one live file at a time.
  const replacedBytes =
    replaced === null
      ? 0
      : await rows.endFile(session, { fileId: replaced, state: 'replaced', replacedBy: fileId, sequence })
  await rows.insertRow(session, 'artifact_files', {
    file_id: fileId,
    package_id: packageId,
    relative_path: text(p, 'relative_path'),
    path_key: text(p, 'path_key'),
    media_type: text(p, 'media_type'),
    size_bytes: integer(p, 'size_bytes'),
    digest_algorithm: text(p, 'digest_algorithm'),
    digest_primary: text(p, 'digest_primary'),
    digest_sha256: text(p, 'digest_sha256'),
    content_address: text(p, 'content_address'),
    annotations: json(p['annotations']),
    state: 'live',
    created_at: event.created_at,
    last_event_sequence: sequence,
  })
  for (const receipt of p['receipts'] as readonly CanonicalMap[]) {
    await addLocation(session, event, { receipt, fileId, packageId, contentAddress: text(p, 'content_address') })
  }
  const files = replaced === null ? 1 : 0
  await rows.countFiles(session, { packageId, files, bytes: integer(p, 'size_bytes') - replacedBytes, sequence })
}

async function addLocation(
  session: Session,
  event: Event,
  o: { receipt: CanonicalMap; fileId: string; packageId: string; contentAddress?: string },
): Promise<void> {
  const { receipt } = o
  await rows.insertRow(session, 'storage_locations', {
    storage_location_id: text(receipt, 'storage_location_id'),
    file_id: o.fileId,
    package_id: o.packageId,
    backend_id: text(receipt, 'backend_id'),
    object_key: text(receipt, 'object_key'),
    content_address: o.contentAddress ?? text(receipt, 'content_address'),
    size_bytes: integer(receipt, 'size_bytes'),
    status: 'stored',
    retrieval_tier: text(receipt, 'retrieval_tier'),
    stored_at: integer(receipt, 'stored_at'),
    last_event_sequence: event.sequence,
  })
}

async function removeFile(session: Session, { sequence }: Event, p: CanonicalMap): Promise<void> {
  const bytes = await rows.endFile(session, {
    fileId: text(p, 'file_id'),
    state: 'removed',
    replacedBy: null,
    sequence,
  })
  await rows.countFiles(session, { packageId: text(p, 'package_id'), files: -1, bytes: -bytes, sequence })
}

async function finalizePackage(session: Session, event: Event, p: CanonicalMap): Promise<void> {
  const manifest = p as unknown as Manifest
  const digest = Buffer.from(event.payload_digest).toString('hex')
  await rows.finalize(session, {
    packageId: manifest.package.package_id,
    manifestDigest: formatContentAddress(makeDigest('blake3', digest)),
    contentRoot: manifest.package.content_root,
    finalizedAt: manifest.package.finalized_at,
    sequence: event.sequence,
  })
}

async function endPackage(
  session: Session,
  { sequence }: Event,
  p: CanonicalMap,
  status: 'aborted' | 'garbage_collected',
): Promise<void> {
  await rows.endPackage(session, { packageId: text(p, 'package_id'), status, sequence })
}

async function signPackage(session: Session, event: Event, p: CanonicalMap): Promise<void> {
  await rows.insertRow(session, 'package_signatures', {
    package_id: text(p, 'package_id'),
    key_id: text(p, 'key_id'),
    payload_type: text(p, 'payload_type'),
    manifest_digest: text(p, 'manifest_digest'),
    signature: text(p, 'signature'),
    created_at: event.created_at,
    last_event_sequence: event.sequence,
  })
}

async function verifyLocation(session: Session, event: Event, p: CanonicalMap): Promise<void> {
  const outcome = text(p, 'outcome')
  const status = outcome === 'verified' ? 'stored' : outcome
  const { created_at: at, sequence } = event
  await rows.setVerified(session, { locationId: text(p, 'storage_location_id'), status, at, sequence })
}

async function addShare(session: Session, event: Event, p: CanonicalMap): Promise<void> {
  const { direction, to } = shareMoves[event.event_type as 'v1.share.created' | 'v1.share.received']
  await rows.insertRow(session, 'shares', {
    share_id: text(p, 'share_id'),
    direction,
    status: to,
    package_id: textIfAny(p, 'package_id'),
    file_id: textIfAny(p, 'file_id'),
    peer: text(p, 'peer'),
    name: text(p, 'name'),
    media_type: text(p, 'media_type'),
    size_bytes: integer(p, 'size_bytes'),
    content_address: text(p, 'content_address'),
    client_message_id: text(p, 'client_message_id'),
    created_at: event.created_at,
    expires_at: integerOrNull(p, 'expires_at'),
    last_event_sequence: event.sequence,
  })
}

async function moveShare(session: Session, event: Event, p: CanonicalMap): Promise<void> {
  await rows.moveShare(session, {
    shareId: text(p, 'share_id'),
    status: shareMoves[event.event_type as ShareEvent].to,
    packageId: textIfAny(p, 'package_id'),
    fileId: textIfAny(p, 'file_id'),
    sequence: event.sequence,
  })
}

/** A member of a payload; the log holds what was checked when it was written. */
function text(payload: CanonicalMap, member: string): string {
  const value = payload[member]
  if (typeof value !== 'string') throw new TypeError(`the payload of an event has no text ${member}`)
  return value
}

function textOrNull(payload: CanonicalMap, member: string): string | null {
  return payload[member] === null ? null : text(payload, member)
}

/** Of a member that not every event of the kind has. */
function textIfAny(payload: CanonicalMap, member: string): string | null {
  return payload[member] === undefined ? null : textOrNull(payload, member)
}

function integer(payload: CanonicalMap, member: string): number {
  const value = payload[member]
  if (typeof value !== 'number') throw new TypeError(`the payload of an event has no number ${member}`)
  return value
}

function integerOrNull(payload: CanonicalMap, member: string): number | null {
  return payload[member] === null ? null : integer(payload, member)
}

function json(value: CanonicalValue | undefined): string {
  return Buffer.from(jcs(value)).toString('utf8')
}
