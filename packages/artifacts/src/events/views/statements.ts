/** The SQL that writes the views. Only `apply.ts` calls it, for a new event and for one that is replayed alike. */
import { isTrue, type Session, type SqlValue } from '../../db/spi.ts'
import type { ViewName } from '../../db/view-names.ts'

/** Columns of a row to be inserted, by name. */
export type NewRow = Readonly<Record<string, SqlValue>>

/** How many rows go into one statement: as many as are left, in few sizes, since each is prepared. */
const rowsAtOnce = [64, 8, 1] as const

const inserts = new Map<string, string>()

/** Inserts rows that name the same columns; those that are not named are null. */
export async function insertRows(session: Session, table: ViewName, newRows: readonly NewRow[]): Promise<void> {
  const columns = Object.keys(newRows[0] ?? {})
  for (let start = 0; start < newRows.length; ) {
    const count = rowsAtOnce.find((size) => size <= newRows.length - start) ?? 1
    const values = newRows.slice(start, start + count).flatMap((row) => Object.values(row))
    await session.execute(insertText({ table, columns, count }), values)
    start += count
  }
}

function insertText(o: {
  readonly table: ViewName
  readonly columns: readonly string[]
  readonly count: number
}): string {
  const { table, columns, count } = o
  const key = `${count} ${table} ${columns.join()}`
  let text = inserts.get(key)
  if (text === undefined) {
    const row = (index: number) => columns.map((_, column) => `$${index * columns.length + column + 1}`).join(', ')
    const rows = Array.from({ length: count }, (_, index) => `(${row(index)})`)
    text = `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${rows.join(', ')}`
    inserts.set(key, text)
  }
  return text
}

/** What events add to a package, the last of which is its last one until the next. */
export interface PackageChange {
  readonly files: number
  readonly bytes: number
  readonly sequence: number
}

const changeText = `
  UPDATE artifact_packages
     SET file_count = file_count + $2, total_size_bytes = total_size_bytes + $3, last_event_sequence = $4
   WHERE package_id = $1`

export async function changePackage(session: Session, packageId: string, o: PackageChange): Promise<void> {
  await session.execute(changeText, [packageId, o.files, o.bytes, o.sequence])
}

const endFileText = `
  UPDATE artifact_files SET state = $2, replaced_by = $3, last_event_sequence = $4
   WHERE file_id = $1 AND state = 'live'
  RETURNING size_bytes`

/** Takes a live file out of its package. @returns its size */
export async function endFile(
  session: Session,
  o: { fileId: string; state: 'replaced' | 'removed'; replacedBy: string | null; sequence: number },
): Promise<number> {
  const [row] = await session.query<{ size_bytes: number }>(endFileText, [o.fileId, o.state, o.replacedBy, o.sequence])
  if (row === undefined) throw new Error(`the log takes away a file that is not live: ${o.fileId}`)
  return row.size_bytes
}

const finalizeText = `
  UPDATE artifact_packages
     SET status = 'finalized', manifest_digest = $2, content_root = $3, finalized_at = $4, last_event_sequence = $5
   WHERE package_id = $1 AND status = 'created'`

export async function finalize(
  session: Session,
  o: { packageId: string; manifestDigest: string; contentRoot: string; finalizedAt: number; sequence: number },
): Promise<void> {
  await session.execute(finalizeText, [o.packageId, o.manifestDigest, o.contentRoot, o.finalizedAt, o.sequence])
}

const endPackageText = 'UPDATE artifact_packages SET status = $2, last_event_sequence = $3 WHERE package_id = $1'

export async function endPackage(
  session: Session,
  o: { packageId: string; status: 'aborted' | 'garbage_collected'; sequence: number },
): Promise<void> {
  await session.execute(endPackageText, [o.packageId, o.status, o.sequence])
}

const extendText = `
  UPDATE retention_state
     SET current_expires_at = $2, eligible_for_deletion = $3, eligible_at = NULL, last_event_sequence = $4
   WHERE package_id = $1`

export async function extendRetention(
  session: Session,
  o: { packageId: string; expiresAt: number; sequence: number },
): Promise<void> {
  await session.execute(extendText, [o.packageId, o.expiresAt, false, o.sequence])
}

const holdText = `
  UPDATE retention_state SET active_hold_id = $2, hold_reason = $3, last_event_sequence = $4 WHERE package_id = $1`

export async function setHold(
  session: Session,
  o: { packageId: string; holdId: string | null; reason: string | null; sequence: number },
): Promise<void> {
  await session.execute(holdText, [o.packageId, o.holdId, o.reason, o.sequence])
}

const eligibleText = `
  UPDATE retention_state SET eligible_for_deletion = $2, eligible_at = $3, last_event_sequence = $4 WHERE package_id = $1`

export async function markEligible(
  session: Session,
  o: { packageId: string; markedAt: number; sequence: number },
): Promise<void> {
  await session.execute(eligibleText, [o.packageId, true, o.markedAt, o.sequence])
}

const tierText = `
  UPDATE storage_locations SET retrieval_tier = $2, restore_status = $3, last_event_sequence = $4
   WHERE storage_location_id = $1`

export async function setTier(
  session: Session,
  o: { locationId: string; tier: string; restoreStatus: string | null; sequence: number },
): Promise<void> {
  await session.execute(tierText, [o.locationId, o.tier, o.restoreStatus, o.sequence])
}

const verifiedText = `
  UPDATE storage_locations SET status = $2, last_verified_at = $3, last_event_sequence = $4
   WHERE storage_location_id = $1 AND status <> 'deleted'`

export async function setVerified(
  session: Session,
  o: { locationId: string; status: string; at: number; sequence: number },
): Promise<void> {
  await session.execute(verifiedText, [o.locationId, o.status, o.at, o.sequence])
}

const deletedText = `
  UPDATE storage_locations SET status = 'deleted', deleted_at = $2, last_event_sequence = $3
   WHERE storage_location_id = $1`

export async function setDeleted(
  session: Session,
  o: { locationId: string; at: number; sequence: number },
): Promise<void> {
  await session.execute(deletedText, [o.locationId, o.at, o.sequence])
}

const moveShareText = `
  UPDATE shares
     SET status = $2, package_id = coalesce($3, package_id), file_id = coalesce($4, file_id), last_event_sequence = $5
   WHERE share_id = $1`

/** Moves a share on; what it brought is noted when it is here. */
export async function moveShare(
  session: Session,
  o: { shareId: string; status: string; packageId: string | null; fileId: string | null; sequence: number },
): Promise<void> {
  await session.execute(moveShareText, [o.shareId, o.status, o.packageId, o.fileId, o.sequence])
}

/** Empties a view. */
export async function empty(session: Session, table: ViewName): Promise<void> {
  await session.execute(`DELETE FROM ${table}`)
}

/** A column of a view and what its values are: text, integer, or a boolean. */
export interface Column {
  readonly name: string
  readonly kind: 't' | 'i' | 'f'
}

export interface ViewTable {
  readonly name: ViewName
  readonly key: readonly string[]
  readonly columns: readonly Column[]
}

/** Rows of a view after a key, in the order of their keys' bytes; the values as they are dumped. */
export async function pageRows(
  session: Session,
  table: ViewTable,
  o: { readonly after: readonly string[] | null; readonly rowsMax: number },
): Promise<readonly (readonly (string | number | boolean | null)[])[]> {
  const key = table.key.join(', ')
  const places = table.key.map((_, index) => `$${index + 2}`).join(', ')
  const columns = table.columns.map(({ name }) => name).join(', ')
  const after = o.after === null ? '' : `WHERE (${key}) > (${places})`
  const text = `SELECT ${columns} FROM ${table.name} ${after} ORDER BY ${key} LIMIT $1`
  const rows = await session.query<Readonly<Record<string, unknown>>>(text, [o.rowsMax, ...(o.after ?? [])])
  return rows.map((row) => table.columns.map(({ name, kind }) => toDumped(row[name], kind)))
}

function toDumped(value: unknown, kind: Column['kind']): string | number | boolean | null {
  if (value === null) return null
  return kind === 'f' ? isTrue(value) : (value as string | number)
}
