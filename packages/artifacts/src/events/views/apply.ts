/**
 * What each event changes in the views (06 §5): the only writer of them, for new events and for replayed ones. It reads
 * the event and the views, and nothing else: no clock, no chance, no configuration, no backend.
 */

import { jcs } from '../../canon/jcs.ts'
import type { CanonicalMap, CanonicalValue } from '../../canon/value.ts'
import { formatContentAddress, makeDigest } from '../../identity/content-address.ts'
import type { Manifest } from '../../manifest/manifest-schema.ts'
import { type ShareEvent, shareMoves } from '../../shares/states.ts'
import { type Event, payloadOf } from '../event.ts'
import * as rows from './statements.ts'
import type { ViewRows } from './view-rows.ts'

type Apply = (views: ViewRows, event: Event, payload: CanonicalMap) => Promise<void>

const appliers: Readonly<Record<string, Apply>> = {
  'v1.package.created': createPackage,
  'v1.retention.default_applied': applyDefaultRetention,
  'v1.file.ingested': ingestFile,
  'v1.file.removed': removeFile,
  'v1.package.finalized': finalizePackage,
  'v1.package.aborted': (views, event, payload) => endPackage(views, event, payload, 'aborted'),
  'v1.package.garbage_collected': (views, event, payload) => endPackage(views, event, payload, 'garbage_collected'),
  'v1.package.signed': signPackage,
  'v1.retention.extended': async (views, { sequence }, p) =>
    rows.extendRetention(views, {
      packageId: text(p, 'package_id'),
      expiresAt: integer(p, 'new_expires_at'),
      sequence,
    }),
  'v1.retention.hold_applied': async (views, { sequence }, p) =>
    rows.setHold(views, {
      packageId: text(p, 'package_id'),
      holdId: text(p, 'hold_id'),
      reason: text(p, 'reason'),
      sequence,
    }),
  'v1.retention.hold_released': async (views, { sequence }, p) =>
    rows.setHold(views, { packageId: text(p, 'package_id'), holdId: null, reason: null, sequence }),
  'v1.retention.eligibility_marked': async (views, { sequence }, p) =>
    rows.markEligible(views, { packageId: text(p, 'package_id'), markedAt: integer(p, 'marked_at'), sequence }),
  'v1.storage.location_added': (views, event, p) =>
    addLocation(views, event, { receipt: p, fileId: text(p, 'file_id'), packageId: text(p, 'package_id') }),
  'v1.storage.tier_changed': async (views, { sequence }, p) =>
    rows.setTier(views, {
      locationId: text(p, 'storage_location_id'),
      tier: text(p, 'retrieval_tier'),
      restoreStatus: textOrNull(p, 'restore_status'),
      sequence,
    }),
  'v1.storage.location_verified': verifyLocation,
  'v1.storage.location_deleted': async (views, { sequence, created_at }, p) =>
    rows.setDeleted(views, { locationId: text(p, 'storage_location_id'), at: created_at, sequence }),
  'v1.share.created': addShare,
  'v1.share.uploaded': moveShare,
  'v1.share.sent': moveShare,
  'v1.share.received': addShare,
  'v1.share.fetched': moveShare,
  'v1.share.revoked': moveShare,
}

/**
 * Writes what an event changes, or has the views hold it back.
 *
 * @returns false for a type that this version does not know: it changes nothing
 */
export async function applyEvent(views: ViewRows, event: Event): Promise<boolean> {
  const apply = appliers[event.event_type]
  if (apply === undefined) return false
  const payload = payloadOf(event)
  await apply(views, event, payload)
  // Where bytes are and who gets them is no change of the package that they belong to.
  const isOfPackage = event.subject_kind === 'package' || event.subject_kind === 'file'
  if (isOfPackage && typeof payload['package_id'] === 'string') {
    views.change(payload['package_id'], { files: 0, bytes: 0, sequence: event.sequence })
  }
  return true
}

async function createPackage(views: ViewRows, event: Event, p: CanonicalMap): Promise<void> {
  views.insert('artifact_packages', {
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

async function applyDefaultRetention(views: ViewRows, event: Event, p: CanonicalMap): Promise<void> {
  const expiresAt = integerOrNull(p, 'expires_at')
  views.insert('retention_state', {
    package_id: text(p, 'package_id'),
    retention_class: text(p, 'retention_class'),
    default_expires_at: expiresAt,
    current_expires_at: expiresAt,
    eligible_for_deletion: false,
    last_event_sequence: event.sequence,
  })
}

async function ingestFile(views: ViewRows, event: Event, p: CanonicalMap): Promise<void> {
  const { sequence } = event
  const fileId = text(p, 'file_id')
  const packageId = text(p, 'package_id')
  const replaced = textOrNull(p, 'replaces_file_id')
  // First: the path belongs to one live file at a time.
  const replacedBytes =
    replaced === null
      ? 0
      : await rows.endFile(views, { fileId: replaced, state: 'replaced', replacedBy: fileId, sequence })
  views.insert('artifact_files', {
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
    await addLocation(views, event, { receipt, fileId, packageId, contentAddress: text(p, 'content_address') })
  }
  const files = replaced === null ? 1 : 0
  views.change(packageId, { files, bytes: integer(p, 'size_bytes') - replacedBytes, sequence })
}

async function addLocation(
  views: ViewRows,
  event: Event,
  o: { receipt: CanonicalMap; fileId: string; packageId: string; contentAddress?: string },
): Promise<void> {
  const { receipt } = o
  views.insert('storage_locations', {
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

async function removeFile(views: ViewRows, { sequence }: Event, p: CanonicalMap): Promise<void> {
  const bytes = await rows.endFile(views, {
    fileId: text(p, 'file_id'),
    state: 'removed',
    replacedBy: null,
    sequence,
  })
  views.change(text(p, 'package_id'), { files: -1, bytes: -bytes, sequence })
}

async function finalizePackage(views: ViewRows, event: Event, p: CanonicalMap): Promise<void> {
  const manifest = p as unknown as Manifest
  const digest = Buffer.from(event.payload_digest).toString('hex')
  await rows.finalize(views, {
    packageId: manifest.package.package_id,
    manifestDigest: formatContentAddress(makeDigest('blake3', digest)),
    contentRoot: manifest.package.content_root,
    finalizedAt: manifest.package.finalized_at,
    sequence: event.sequence,
  })
}

async function endPackage(
  views: ViewRows,
  { sequence }: Event,
  p: CanonicalMap,
  status: 'aborted' | 'garbage_collected',
): Promise<void> {
  await rows.endPackage(views, { packageId: text(p, 'package_id'), status, sequence })
}

async function signPackage(views: ViewRows, event: Event, p: CanonicalMap): Promise<void> {
  views.insert('package_signatures', {
    package_id: text(p, 'package_id'),
    key_id: text(p, 'key_id'),
    payload_type: text(p, 'payload_type'),
    manifest_digest: text(p, 'manifest_digest'),
    signature: text(p, 'signature'),
    created_at: event.created_at,
    last_event_sequence: event.sequence,
  })
}

async function verifyLocation(views: ViewRows, event: Event, p: CanonicalMap): Promise<void> {
  const outcome = text(p, 'outcome')
  const status = outcome === 'verified' ? 'stored' : outcome
  const { created_at: at, sequence } = event
  await rows.setVerified(views, { locationId: text(p, 'storage_location_id'), status, at, sequence })
}

async function addShare(views: ViewRows, event: Event, p: CanonicalMap): Promise<void> {
  const { direction, to } = shareMoves[event.event_type as 'v1.share.created' | 'v1.share.received']
  views.insert('shares', {
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

async function moveShare(views: ViewRows, event: Event, p: CanonicalMap): Promise<void> {
  await rows.moveShare(views, {
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
