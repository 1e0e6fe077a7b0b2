/** The SQL of shares: what is asked of the view, and the place of what nobody may read in the log. */
import type { Session, SqlValue, Tx } from '../db/spi.ts'
import type { ShareDirection, ShareStatus } from './states.ts'

export interface ShareRow {
  readonly share_id: string
  readonly direction: ShareDirection
  readonly status: ShareStatus
  readonly package_id: string | null
  readonly file_id: string | null
  readonly peer: string
  readonly name: string
  readonly media_type: string
  readonly size_bytes: number
  readonly content_address: string
  readonly client_message_id: string | null
  readonly created_at: number
  readonly expires_at: number | null
  readonly last_event_sequence: number
}

const columns = `share_id, direction, status, package_id, file_id, peer, name, media_type, size_bytes, content_address,
  client_message_id, created_at, expires_at, last_event_sequence`

const selectShare = `SELECT ${columns} FROM shares WHERE share_id = $1`

export async function findShare(session: Session, shareId: string): Promise<ShareRow | null> {
  const [row] = await session.query<ShareRow>(selectShare, [shareId])
  return row ?? null
}

const selectByMessage = `
  SELECT ${columns} FROM shares WHERE peer = $1 AND client_message_id = $2 AND direction = 'received' LIMIT 1`

/** The share that a message of a member brought. */
export async function findReceived(session: Session, peer: string, clientMessageId: string): Promise<ShareRow | null> {
  const [row] = await session.query<ShareRow>(selectByMessage, [peer, clientMessageId])
  return row ?? null
}

export interface ShareFilter {
  readonly direction?: ShareDirection
  /** A member id, or `#` and the name of a topic. */
  readonly peer?: string
  readonly status?: ShareStatus
  /** Made at this time or later, in milliseconds since the epoch. */
  readonly since?: number
}

/** Shares in the order of their ids, those after one. */
export function pageShares(
  session: Session,
  o: { readonly filter: ShareFilter; readonly after: string; readonly limit: number },
): Promise<readonly ShareRow[]> {
  const values: SqlValue[] = [o.after, o.limit]
  const conditions = ['share_id > $1']
  const compare = (comparison: string, value: string | number | undefined) => {
    if (value !== undefined) conditions.push(`${comparison} $${values.push(value)}`)
  }
  compare('direction =', o.filter.direction)
  compare('peer =', o.filter.peer)
  compare('status =', o.filter.status)
  compare('created_at >=', o.filter.since)
  const where = conditions.join(' AND ')
  return session.query(`SELECT ${columns} FROM shares WHERE ${where} ORDER BY share_id LIMIT $2`, values)
}

// ---- secrets ---------------------------------------------------------------------------------------------------------

export interface SecretRow {
  /** 32 bytes. */
  readonly key: Uint8Array
  /** 16 bytes; null for a share that was received. */
  readonly nonce: Uint8Array | null
  /** What the sender says with it. */
  readonly message: string | null
}

const insertSecretText = `
  INSERT INTO share_secrets (share_id, key, nonce, message, created_at) VALUES ($1, $2, $3, $4, $5)`

export async function insertSecret(
  tx: Tx,
  o: { readonly shareId: string; readonly secret: SecretRow; readonly at: number },
): Promise<void> {
  const { key, nonce, message } = o.secret
  await tx.execute(insertSecretText, [o.shareId, key, nonce, message, o.at])
}

const selectSecret = 'SELECT key, nonce, message FROM share_secrets WHERE share_id = $1'

export async function findSecret(session: Session, shareId: string): Promise<SecretRow | null> {
  const [row] = await session.query<SecretRow>(selectSecret, [shareId])
  return row ?? null
}

const deleteSecret = 'DELETE FROM share_secrets WHERE share_id = $1'

export async function forgetSecret(tx: Tx, shareId: string): Promise<void> {
  await tx.execute(deleteSecret, [shareId])
}
