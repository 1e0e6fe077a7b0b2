/** The SQL of members, topics and presence as they are asked for. */
import type { Certificate } from '@claudemesh/protocol'
import { prepare, type Session } from '@claudemesh/storage/postgres'
import type { Member, MemberKey, Topic } from '../../../rows.ts'
import type { Page } from '../../../store.ts'

const memberColumns = `
  m.member_id AS "memberId", m.chain, m.status, coalesce(p.online, false) AS online, p.last_seen_at AS "lastSeenAt", p.summary, p.activity,
  coalesce(p.visible, true) AS visible`

const topicColumns = `
  t.name, t.created_at AS "createdAt",
  (SELECT count(*) FROM mesh.topic_subscription s WHERE s.mesh_id = t.mesh_id AND s.topic = t.name) AS subscribers,
  EXISTS (SELECT 1 FROM mesh.topic_subscription s
           WHERE s.mesh_id = t.mesh_id AND s.topic = t.name AND s.member_id = $2) AS subscribed`

const selectMembers = prepare(`
  SELECT ${memberColumns} FROM mesh.member m LEFT JOIN mesh.presence p USING (mesh_id, member_id)
   WHERE m.mesh_id = $1 AND m.member_id > $2
     AND (m.status <> 'left' OR EXISTS (SELECT 1 FROM mesh.client_message_dedupe d
           WHERE d.mesh_id = m.mesh_id AND d.sender = m.member_id AND d.history_available))
   ORDER BY m.member_id LIMIT $3`)
const selectMember = prepare(`
  SELECT ${memberColumns} FROM mesh.member m LEFT JOIN mesh.presence p USING (mesh_id, member_id)
   WHERE m.mesh_id = $1 AND m.member_id = $2`)
const selectTopics = prepare(`
  SELECT ${topicColumns} FROM mesh.topic t WHERE t.mesh_id = $1 AND t.name > $3 ORDER BY t.name LIMIT $4`)
const selectTopic = prepare(`SELECT ${topicColumns} FROM mesh.topic t WHERE t.mesh_id = $1 AND t.name = $3`)
const selectCounts = prepare(`
  SELECT t.name, count(s.member_id) AS subscribers
    FROM mesh.topic t LEFT JOIN mesh.topic_subscription s ON s.mesh_id = t.mesh_id AND s.topic = t.name
   WHERE t.mesh_id = $1 AND t.name = ANY($2::text[]) GROUP BY t.name ORDER BY t.name`)
// One statement, and so one moment: the epoch is that of the set.
const selectRecipients = prepare(`
  SELECT t.recipients_epoch AS "recipientsEpoch",
         ARRAY(SELECT s.member_id FROM mesh.topic_subscription s
                WHERE s.mesh_id = t.mesh_id AND s.topic = t.name AND s.member_id <> $2
                ORDER BY s.member_id LIMIT $4) AS members
    FROM mesh.topic t WHERE t.mesh_id = $1 AND t.name = $3`)
const insertTopic = prepare(`
  INSERT INTO mesh.topic (mesh_id, name, created_by, created_at) VALUES ($1, $3, $2, $4)
  ON CONFLICT (mesh_id, name) DO NOTHING`)
const insertSubscription = prepare(`
  INSERT INTO mesh.topic_subscription (mesh_id, topic, member_id, since_history_id, subscribed_at)
  SELECT c.mesh_id, $3::text, $2::text, c.last_history_id, $4::bigint FROM mesh.mesh_counter c WHERE c.mesh_id = $1
  ON CONFLICT (mesh_id, topic, member_id) DO NOTHING`)
const deleteSubscription = prepare(`
  DELETE FROM mesh.topic_subscription WHERE mesh_id = $1 AND member_id = $2 AND topic = $3`)
const bumpEpochs = prepare(`
  UPDATE mesh.topic SET recipients_epoch = recipients_epoch + 1 WHERE mesh_id = $1 AND name = ANY($2::text[])`)
const upsertProfile = prepare(`
  INSERT INTO mesh.presence (mesh_id, member_id, summary, activity, visible) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (mesh_id, member_id) DO UPDATE
     SET summary = excluded.summary, activity = excluded.activity, visible = excluded.visible`)

type MemberRow = Omit<Member, 'chain'> & { readonly chain: string }

function toMember(row: MemberRow): Member {
  return { ...row, chain: JSON.parse(row.chain) as readonly Certificate[] }
}

export async function pageMembers(session: Session, meshId: string, page: Page): Promise<readonly Member[]> {
  const rows = await session.query<MemberRow>(selectMembers, [meshId, page.after ?? '', page.limit])
  return rows.map(toMember)
}

export async function findMember(session: Session, key: MemberKey): Promise<Member | null> {
  const [row] = await session.query<MemberRow>(selectMember, [key.meshId, key.memberId])
  return row === undefined ? null : toMember(row)
}

export function pageTopics(session: Session, key: MemberKey, page: Page): Promise<readonly Topic[]> {
  return session.query<Topic>(selectTopics, [key.meshId, key.memberId, page.after ?? '', page.limit])
}

export async function findTopic(session: Session, key: MemberKey, topic: string): Promise<Topic | null> {
  const [found = null] = await session.query<Topic>(selectTopic, [key.meshId, key.memberId, topic])
  return found
}

/** The topics of those names, in order of them. */
export function countSubscribers(
  session: Session,
  meshId: string,
  names: readonly string[],
): Promise<readonly Pick<Topic, 'name' | 'subscribers'>[]> {
  return session.query(selectCounts, [meshId, names])
}

export async function listRecipients(
  session: Session,
  key: MemberKey,
  of: { readonly topic: string; readonly limit: number },
): Promise<{ readonly recipientsEpoch: number; readonly members: readonly string[] } | null> {
  const [found = null] = await session.query<{ recipientsEpoch: number; members: readonly string[] }>(
    selectRecipients,
    [key.meshId, key.memberId, of.topic, of.limit],
  )
  return found
}

/** Makes a topic where there is none of that name. */
export function makeTopic(session: Session, key: MemberKey, topic: { name: string; at: number }): Promise<number> {
  return session.execute(insertTopic, [key.meshId, key.memberId, topic.name, topic.at])
}

/** To whatever is accepted after it. @returns 0 when it was there */
export function addSubscription(
  session: Session,
  key: MemberKey,
  to: { readonly topic: string; readonly at: number },
): Promise<number> {
  return session.execute(insertSubscription, [key.meshId, key.memberId, to.topic, to.at])
}

/** @returns 0 when there was none */
export function endSubscription(session: Session, key: MemberKey, topic: string): Promise<number> {
  return session.execute(deleteSubscription, [key.meshId, key.memberId, topic])
}

export function beginEpochs(session: Session, meshId: string, topics: readonly string[]): Promise<number> {
  return session.execute(bumpEpochs, [meshId, topics])
}

export async function setProfile(
  session: Session,
  key: MemberKey,
  profile: { readonly summary: string | null; readonly activity: string | null; readonly visible: boolean },
): Promise<void> {
  const { summary, activity, visible } = profile
  await session.execute(upsertProfile, [key.meshId, key.memberId, summary, activity, visible])
}
