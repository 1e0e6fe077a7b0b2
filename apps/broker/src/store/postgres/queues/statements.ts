/** Queues and who consumes them. */

import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { Queue, QueueKey } from '../../queues.ts'
import type { MemberKey } from '../../rows.ts'

const queueColumns = `
  q.name, q.consumers, q.max_deliveries AS "maxDeliveries", q.created_at AS "createdAt",
  EXISTS (SELECT 1 FROM mesh.queue_consumer c
           WHERE c.mesh_id = q.mesh_id AND c.queue = q.name AND c.member_id = $2
             AND c.until_history_id IS NULL) AS consuming,
  least(10001,
    (SELECT count(*) FROM (SELECT 1 FROM mesh.message_queue m
      WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at = 0 LIMIT 10001) fresh) +
    (SELECT count(*) FROM (SELECT 1 FROM mesh.message_queue m
      WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at > 0
        AND (m.state = 'ready' OR m.visible_at <= $3) LIMIT 10001) held)) AS waiting,
  (SELECT count(*) FROM (SELECT 1 FROM mesh.message_queue m
    WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.visible_at > 0 AND m.visible_at > $3
      AND m.state = 'leased' LIMIT 10001) leased) AS leased,
  (SELECT count(*) FROM (SELECT 1 FROM mesh.message_queue m
    WHERE m.mesh_id = q.mesh_id AND m.queue = q.name AND m.state = 'dead' LIMIT 10001) dead) AS dead`

const selectPage = prepare(`
  SELECT ${queueColumns} FROM mesh.queue q WHERE q.mesh_id = $1 AND q.name > $4 ORDER BY q.name LIMIT $5`)

/** Queues in order of their names. */
export function pageQueues(
  session: Session,
  key: MemberKey,
  page: { readonly limit: number; readonly after: string | null; readonly now: number },
): Promise<readonly Queue[]> {
  return session.query<Queue>(selectPage, [key.meshId, key.memberId, page.now, page.after ?? '', page.limit])
}

const selectQueue = prepare(`SELECT ${queueColumns} FROM mesh.queue q WHERE q.mesh_id = $1 AND q.name = $4`)

export async function findQueue(
  session: Session,
  key: MemberKey,
  about: { readonly queue: string; readonly now: number },
): Promise<Queue | null> {
  const [found] = await session.query<Queue>(selectQueue, [key.meshId, key.memberId, about.now, about.queue])
  return found ?? null
}

const selectConsumers = prepare(`
  SELECT q.recipients_epoch AS "recipientsEpoch",
         ARRAY(SELECT c.member_id::text FROM mesh.queue_consumer c
                WHERE c.mesh_id = q.mesh_id AND c.queue = q.name AND c.until_history_id IS NULL
                ORDER BY c.member_id) AS members
    FROM mesh.queue q WHERE q.mesh_id = $1 AND q.name = $2`)

/** The consumers of a queue and the epoch of that set, as they are at one moment. */
export async function listConsumers(
  session: Session,
  { meshId, queue }: QueueKey,
): Promise<{ readonly recipientsEpoch: number; readonly members: readonly string[] } | null> {
  const [found] = await session.query<{ recipientsEpoch: number; members: readonly string[] }>(selectConsumers, [
    meshId,
    queue,
  ])
  return found ?? null
}

const selectTerms = prepare(`
  SELECT q.consumers, q.max_deliveries AS "maxDeliveries",
         EXISTS (SELECT 1 FROM mesh.queue_consumer c
                  WHERE c.mesh_id = q.mesh_id AND c.queue = q.name AND c.member_id = $3
                    AND c.until_history_id IS NULL) AS consuming
    FROM mesh.queue q WHERE q.mesh_id = $1 AND q.name = $2`)

/** What a member that asks has to know of a queue. */
export interface Terms {
  readonly consumers: number
  readonly maxDeliveries: number
  readonly consuming: boolean
}

export async function findTerms(session: Session, key: MemberKey, queue: string): Promise<Terms | null> {
  const [found] = await session.query<Terms>(selectTerms, [key.meshId, queue, key.memberId])
  return found ?? null
}

const lockConsumer = prepare(`
  SELECT 1 FROM mesh.queue_consumer
   WHERE mesh_id = $1 AND queue = $2 AND member_id = $3 AND until_history_id IS NULL FOR SHARE`)

/** Keeps a member a consumer until the end of the transaction. @returns false when it is none */
export async function holdConsumer(session: Session, key: MemberKey, queue: string): Promise<boolean> {
  return (await session.query(lockConsumer, [key.meshId, queue, key.memberId])).length > 0
}

const insertQueue = prepare(`
  INSERT INTO mesh.queue (mesh_id, name, max_deliveries, created_by, created_at)
  VALUES ($1, $2, coalesce($3::integer, $6), $4, $5)
  ON CONFLICT (mesh_id, name) DO UPDATE SET max_deliveries = $3 WHERE $3::integer IS NOT NULL`)

/** Makes a queue, or changes how often it gives a message out, unless that is null. */
export async function saveQueue(
  session: Session,
  key: MemberKey,
  queue: {
    readonly name: string
    readonly maxDeliveries: number | null
    readonly maxDeliveriesDefault: number
    readonly at: number
  },
): Promise<void> {
  const { name, maxDeliveries, maxDeliveriesDefault, at } = queue
  await session.execute(insertQueue, [key.meshId, name, maxDeliveries, key.memberId, at, maxDeliveriesDefault])
}

const insertConsumer = prepare(`
  WITH consumer AS (
    INSERT INTO mesh.queue_consumer (mesh_id, queue, member_id, since_history_id, joined_at)
    SELECT $1, $2, $3, c.last_history_id, $4 FROM mesh.mesh_counter c WHERE c.mesh_id = $1
  )
  UPDATE mesh.queue SET recipients_epoch = recipients_epoch + 1, consumers = consumers + 1
   WHERE mesh_id = $1 AND name = $2`)

/** The mesh is locked, and the member is no consumer yet. @returns 1 */
export function addConsumer(
  session: Session,
  key: MemberKey,
  to: { readonly queue: string; readonly at: number },
): Promise<number> {
  return session.execute(insertConsumer, [key.meshId, to.queue, key.memberId, to.at])
}

const endConsumers = prepare(`
  WITH gone AS MATERIALIZED (
    SELECT c.queue, c.member_id, c.since_history_id, n.last_history_id
      FROM mesh.queue_consumer c JOIN mesh.mesh_counter n ON n.mesh_id = c.mesh_id
     WHERE c.mesh_id = $1 AND c.member_id = ANY ($2::text[]) AND c.until_history_id IS NULL
       AND ($3::text IS NULL OR c.queue = $3)
  ), unused AS (
    DELETE FROM mesh.queue_consumer c USING gone g
     WHERE c.mesh_id = $1 AND c.queue = g.queue AND c.member_id = g.member_id
       AND c.since_history_id = g.since_history_id AND g.since_history_id >= g.last_history_id
  ), past AS (
    UPDATE mesh.queue_consumer c SET until_history_id = g.last_history_id FROM gone g
     WHERE c.mesh_id = $1 AND c.queue = g.queue AND c.member_id = g.member_id
       AND c.since_history_id = g.since_history_id AND g.since_history_id < g.last_history_id
  )
  UPDATE mesh.queue q SET recipients_epoch = q.recipients_epoch + 1, consumers = q.consumers - g.members
    FROM (SELECT queue, count(*)::integer AS members FROM gone GROUP BY queue) g
   WHERE q.mesh_id = $1 AND q.name = g.queue RETURNING q.name`)

/**
 * Members consume a queue, or any queue (null), no more; of what they were consumers for, rows stay. The mesh is locked.
 *
 * @returns the queues that they consumed
 */
export async function removeConsumers(
  session: Session,
  gone: { readonly meshId: string; readonly memberIds: readonly string[]; readonly queue: string | null },
): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(endConsumers, [gone.meshId, gone.memberIds, gone.queue])
  return rows.map((row) => row.name)
}

const releaseLeases = prepare(`
  UPDATE mesh.message_queue SET state = 'ready', visible_at = 0, lease_id = NULL, reason = 'consumer_left'
   WHERE mesh_id = $1 AND leased_by = ANY ($2::text[]) AND queue = ANY ($3::text[]) AND state = 'leased'`)
const deletePast = prepare(`
  DELETE FROM mesh.queue_consumer c
   WHERE c.mesh_id = $1 AND c.queue = ANY ($2::text[]) AND c.until_history_id IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM mesh.message_queue m
           WHERE m.mesh_id = c.mesh_id AND m.queue = c.queue AND m.urgency IN (0, 1, 2)
             AND m.history_id > c.since_history_id AND m.history_id <= c.until_history_id
             AND m.visible_at = 0)
     AND NOT EXISTS (SELECT 1 FROM mesh.message_queue m
           WHERE m.mesh_id = c.mesh_id AND m.queue = c.queue AND m.visible_at > 0
             AND m.history_id > c.since_history_id AND m.history_id <= c.until_history_id)
     AND NOT EXISTS (SELECT 1 FROM mesh.message_queue m
           WHERE m.mesh_id = c.mesh_id AND m.queue = c.queue AND m.state = 'dead'
             AND m.history_id > c.since_history_id AND m.history_id <= c.until_history_id)`)

/** What members had leased in these queues can be taken at once, and is theirs no more. */
export async function releaseLeasesOf(
  session: Session,
  gone: { readonly meshId: string; readonly memberIds: readonly string[]; readonly queues: readonly string[] },
): Promise<void> {
  await session.execute(releaseLeases, [gone.meshId, gone.memberIds, gone.queues])
}

/** Forgets for whom messages were sealed of which none is left. */
export async function deletePastConsumers(session: Session, meshId: string, queues: readonly string[]): Promise<void> {
  await session.execute(deletePast, [meshId, queues])
}
