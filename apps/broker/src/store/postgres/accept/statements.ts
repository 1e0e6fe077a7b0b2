import assert from 'node:assert/strict'
import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { MemberStatus } from '../../member-states.ts'
import type { Accepted, MessageKey } from '../../rows.ts'
import type { AcceptItem } from '../../store.ts'

const dedupeColumns = `
  d.broker_message_id AS "brokerMessageId", d.history_id AS "historyId", d.request_fingerprint AS fingerprint,
  d.recipient_count AS "recipientCount", d.first_seen_at AS "firstSeenAt", d.history_available AS "historyAvailable"`

const itemKeys = `
  unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (mesh_id, sender, client_message_id, position)`

const selectAccepted = prepare(`
  SELECT k.position, d.*
    FROM ${itemKeys} CROSS JOIN LATERAL
         (SELECT ${dedupeColumns} FROM mesh.client_message_dedupe d
           WHERE d.mesh_id = k.mesh_id AND d.sender = k.sender AND d.client_message_id = k.client_message_id
             OFFSET 0) d`)

/** Locked: an id that was read back as taken cannot be forgotten before the answer is committed. */
const selectAcceptedForShare = prepare(`
  SELECT k.position, d.*
    FROM ${itemKeys} CROSS JOIN LATERAL
         (SELECT ${dedupeColumns} FROM mesh.client_message_dedupe d
           WHERE d.mesh_id = k.mesh_id AND d.sender = k.sender AND d.client_message_id = k.client_message_id
             FOR SHARE) d`)

type AcceptedRow = Accepted & { readonly position: number }

/** What is remembered of each key, null for what is not. */
export async function findAccepted(
  session: Session,
  keys: readonly MessageKey[],
): Promise<readonly (Accepted | null)[]> {
  const rows = await session.query<AcceptedRow>(selectAccepted, keyArrays(keys))
  return inOrderOf(keys, rows)
}

/** As `findAccepted`, and keeps it so until the end of the transaction. The keys are in ascending order. */
export async function readBack(session: Session, keys: readonly MessageKey[]): Promise<readonly (Accepted | null)[]> {
  const rows = await session.query<AcceptedRow>(selectAcceptedForShare, keyArrays(keys))
  return inOrderOf(keys, rows)
}

function keyArrays(keys: readonly MessageKey[]): readonly unknown[] {
  return [keys.map((key) => key.meshId), keys.map((key) => key.sender), keys.map((key) => key.clientMessageId)]
}

function inOrderOf(keys: readonly MessageKey[], rows: readonly AcceptedRow[]): readonly (Accepted | null)[] {
  const byPosition = new Map(rows.map(({ position, ...accepted }) => [position, accepted]))
  return keys.map((_key, index) => byPosition.get(index + 1) ?? null)
}

const selectAddresses = prepare(`
  SELECT s.status AS "senderStatus", r.status AS "recipientStatus",
         coalesce(t.recipients_epoch, q.recipients_epoch) AS "recipientsEpoch", q.consumers
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
           WITH ORDINALITY AS i (mesh_id, sender, kind, ref, position)
         LEFT JOIN LATERAL (SELECT m.status FROM mesh.member m
                             WHERE m.mesh_id = i.mesh_id AND m.member_id = i.sender OFFSET 0) s ON true
         LEFT JOIN LATERAL (SELECT m.status FROM mesh.member m
                             WHERE i.kind = 'dm' AND m.mesh_id = i.mesh_id AND m.member_id = i.ref OFFSET 0) r ON true
         LEFT JOIN LATERAL (SELECT o.recipients_epoch FROM mesh.topic o
                             WHERE i.kind = 'topic' AND o.mesh_id = i.mesh_id AND o.name = i.ref OFFSET 0) t ON true
         LEFT JOIN LATERAL (SELECT o.recipients_epoch, o.consumers FROM mesh.queue o
                             WHERE i.kind = 'queue' AND o.mesh_id = i.mesh_id AND o.name = i.ref OFFSET 0) q ON true
   ORDER BY i.position`)

/** Who sends an item and what it addresses, as they are now; null for what there is not. */
export interface Address {
  readonly senderStatus: MemberStatus | null
  readonly recipientStatus: MemberStatus | null
  readonly recipientsEpoch: number | null
  /** Of a queue. */
  readonly consumers: number | null
}

/** The addresses of the items, in their order. Many share one, and each is looked up once. */
export async function findAddresses(session: Session, items: readonly AcceptItem[]): Promise<readonly Address[]> {
  const places = new Map<string, number>()
  const asked: AcceptItem[] = []
  const placeOf = items.map((item) => {
    const { kind, ref } = item.destination
    const key = `${item.meshId} ${item.sender} ${kind} ${ref}`
    const place = places.get(key) ?? asked.push(item) - 1
    places.set(key, place)
    return place
  })
  const found = await session.query<Address>(selectAddresses, [
    asked.map((item) => item.meshId),
    asked.map((item) => item.sender),
    asked.map((item) => item.destination.kind),
    asked.map((item) => item.destination.ref),
  ])
  return placeOf.map((place) => {
    const address = found[place]
    assert(address !== undefined, 'there is an address for every item')
    return address
  })
}

/**
 * All that an accepted message leaves behind, for every item at once. The sealed bytes come as one value, cut up here:
 * an array would carry them as text of twice the size.
 */
const insertItems = prepare(`
  WITH item AS MATERIALIZED (
    SELECT i.*, c.last_delivery_id,
           c.last_history_id + row_number() OVER (PARTITION BY i.mesh_id ORDER BY i.position) AS history_id
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                  $9::boolean[], $10::bigint[], $11::bigint[], $12::bytea[], $13::integer[], $14::integer[])
             WITH ORDINALITY AS i (mesh_id, sender, client_message_id, id, kind, ref, reply_to, priority, receipts,
                                   accepted_at, expires_at, fingerprint, sealed_from, sealed_bytes, position)
           JOIN mesh.mesh_counter c ON c.mesh_id = i.mesh_id
  ), addressed AS MATERIALIZED (
    SELECT a.*, row_number() OVER (PARTITION BY a.mesh_id ORDER BY a.position, a.recipient) AS number
      FROM (SELECT i.mesh_id, i.position, i.id, i.last_delivery_id, i.ref COLLATE "C" AS recipient
              FROM item i WHERE i.kind = 'dm'
             UNION ALL
            SELECT i.mesh_id, i.position, i.id, i.last_delivery_id, s.member_id
              FROM item i CROSS JOIN LATERAL
                   (SELECT t.member_id FROM mesh.topic_subscription t
                     WHERE t.mesh_id = i.mesh_id AND t.topic = i.ref AND t.member_id <> i.sender OFFSET 0) s
             WHERE i.kind = 'topic') a
  ), reached AS MATERIALIZED (
    SELECT i.position, count(a.recipient)::integer AS recipient_count,
           coalesce(array_agg(a.recipient::text ORDER BY a.recipient) FILTER (WHERE a.recipient IS NOT NULL), '{}')
             AS recipients
      FROM item i LEFT JOIN addressed a ON a.position = i.position GROUP BY i.position
  ), dedupe AS (
    INSERT INTO mesh.client_message_dedupe (mesh_id, sender, client_message_id, broker_message_id, history_id,
           request_fingerprint, destination_kind, destination_ref, recipient_count, first_seen_at, expires_at)
    SELECT i.mesh_id, i.sender, i.client_message_id, i.id, i.history_id, i.fingerprint, i.kind, i.ref,
           CASE i.kind WHEN 'queue' THEN 1 ELSE r.recipient_count END, i.accepted_at, i.expires_at
      FROM item i JOIN reached r ON r.position = i.position ORDER BY i.position
    ON CONFLICT (mesh_id, sender, client_message_id) DO NOTHING RETURNING broker_message_id
  ), message AS (
    INSERT INTO mesh.topic_message (id, mesh_id, history_id, client_message_id, sender, destination_kind,
           destination_ref, reply_to, priority, receipts, accepted_at, sealed)
    SELECT i.id, i.mesh_id, i.history_id, i.client_message_id, i.sender, i.kind, i.ref, i.reply_to, i.priority,
           i.receipts, i.accepted_at, substr($15::bytea, i.sealed_from, i.sealed_bytes)
      FROM item i WHERE i.kind <> 'queue' ORDER BY i.position
  ), work AS (
    INSERT INTO mesh.message_queue (id, mesh_id, history_id, client_message_id, sender, queue, reply_to, priority,
           receipts, accepted_at, sealed, visible_at)
    SELECT i.id, i.mesh_id, i.history_id, i.client_message_id, i.sender, i.ref, i.reply_to, i.priority, i.receipts,
           i.accepted_at, substr($15::bytea, i.sealed_from, i.sealed_bytes), 0
      FROM item i WHERE i.kind = 'queue' ORDER BY i.position
  ), history AS (
    INSERT INTO mesh.message_history (mesh_id, history_id, broker_message_id)
    SELECT i.mesh_id, i.history_id, i.id FROM item i ORDER BY i.position
  ), delivery AS (
    INSERT INTO mesh.delivery_queue (mesh_id, recipient, delivery_id, broker_message_id)
    SELECT a.mesh_id, a.recipient, a.last_delivery_id + a.number, a.id FROM addressed a ORDER BY a.position, a.number
  ), mention AS (
    INSERT INTO mesh.mention_index (mesh_id, mentioned, broker_message_id)
    SELECT m.mesh_id, m.mentioned, m.id FROM unnest($16::text[], $17::text[], $18::text[]) AS m (mesh_id, mentioned, id)
    ON CONFLICT DO NOTHING
  ), counter AS (
    UPDATE mesh.mesh_counter c
       SET last_history_id = c.last_history_id + given.items, last_delivery_id = c.last_delivery_id + given.deliveries
      FROM (SELECT i.mesh_id, count(*) AS items, sum(r.recipient_count) AS deliveries
              FROM item i JOIN reached r ON r.position = i.position GROUP BY i.mesh_id) given
     WHERE c.mesh_id = given.mesh_id
  )
  SELECT i.history_id AS "historyId", r.recipients
    FROM item i JOIN reached r ON r.position = i.position JOIN dedupe d ON d.broker_message_id = i.id
   ORDER BY i.position`)

/** What became of an item that was stored. */
export interface Stored {
  readonly historyId: number
  readonly recipients: readonly string[]
}

/**
 * Stores items whose ids are free, while their meshes are locked.
 *
 * @returns the items in their order; one less for each id that was not free
 */
export function insertAll(session: Session, items: readonly AcceptItem[]): Promise<readonly Stored[]> {
  const mentions = items.flatMap((item) => item.mentions.map((mentioned) => ({ item, mentioned })))
  let sealedBytes = 0
  const sealedFrom = items.map(({ sealed }) => {
    const from = sealedBytes + 1
    sealedBytes += sealed.length
    return from
  })
  return session.query<Stored>(insertItems, [
    items.map((item) => item.meshId),
    items.map((item) => item.sender),
    items.map((item) => item.clientMessageId),
    items.map((item) => item.brokerMessageId),
    items.map((item) => item.destination.kind),
    items.map((item) => item.destination.ref),
    items.map((item) => item.replyTo),
    items.map((item) => item.priority),
    items.map((item) => item.receipts),
    items.map((item) => item.acceptedAt),
    items.map((item) => item.dedupeExpiresAt),
    items.map((item) => item.fingerprint),
    sealedFrom,
    items.map((item) => item.sealed.length),
    Buffer.concat(items.map((item) => item.sealed)),
    mentions.map(({ item }) => item.meshId),
    mentions.map(({ mentioned }) => mentioned),
    mentions.map(({ item }) => item.brokerMessageId),
  ])
}
