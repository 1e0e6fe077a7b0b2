/** The SQL of the registry: what it looks at before it writes an event, and what it answers. Views are written by events alone. */
import type { Session, SqlValue, Tx } from '../db/spi.ts'

// ---- packages --------------------------------------------------------------------------------------------------------

export interface PackageRow {
  readonly package_id: string
  readonly name: string
  readonly producer: string
  readonly subject: string | null
  readonly status: 'created' | 'finalized' | 'aborted' | 'garbage_collected'
  readonly retention_class: string
  readonly artifact_type: string
  readonly path_policy: 'portable' | 'posix'
  readonly metadata: string
  readonly metadata_schema: string | null
  readonly annotations: string
  readonly provenance: string
  readonly manifest_digest: string | null
  readonly content_root: string | null
  readonly file_count: number
  readonly total_size_bytes: number
  readonly created_at: number
  readonly finalized_at: number | null
  readonly last_event_sequence: number
}

const packageColumns = `package_id, name, producer, subject, status, retention_class, artifact_type, path_policy, metadata,
  metadata_schema, annotations, provenance, manifest_digest, content_root, file_count, total_size_bytes, created_at,
  finalized_at, last_event_sequence`

const selectPackage = `SELECT ${packageColumns} FROM artifact_packages WHERE package_id = $1`

export async function findPackage(session: Session, packageId: string): Promise<PackageRow | null> {
  const [row] = await session.query<PackageRow>(selectPackage, [packageId])
  return row ?? null
}

export interface PackageFilter {
  readonly producer?: string
  readonly subject?: string
  readonly retentionClass?: string
  readonly status?: string
  /** Top-level members of the metadata and their values as text. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** Packages in the order of their ids, those after one. */
export function pagePackages(
  session: Session,
  o: { readonly filter: PackageFilter; readonly after: string; readonly limit: number },
): Promise<readonly PackageRow[]> {
  const values: SqlValue[] = [o.after, o.limit]
  const conditions = ['package_id > $1']
  const equal = (column: string, value: string | undefined) => {
    if (value !== undefined) conditions.push(`${column} = $${values.push(value)}`)
  }
  equal('producer', o.filter.producer)
  equal('subject', o.filter.subject)
  equal('retention_class', o.filter.retentionClass)
  equal('status', o.filter.status)
  for (const [member, value] of Object.entries(o.filter.metadata ?? {})) {
    equal(`metadata_text(metadata, $${values.push(member)})`, value)
  }
  const where = conditions.join(' AND ')
  return session.query(
    `SELECT ${packageColumns} FROM artifact_packages WHERE ${where} ORDER BY package_id LIMIT $2`,
    values,
  )
}

const selectDuration = 'SELECT default_duration_seconds AS seconds FROM retention_classes WHERE retention_class = $1'

/** How long packages of a class are kept; null: for ever; undefined: there is no such class. */
export async function findDuration(session: Session, retentionClass: string): Promise<number | null | undefined> {
  const [row] = await session.query<{ seconds: number | null }>(selectDuration, [retentionClass])
  return row?.seconds
}

const updateDuration = 'UPDATE retention_classes SET default_duration_seconds = $2 WHERE retention_class = $1'

/** @returns whether there is such a class */
export async function setDuration(tx: Tx, retentionClass: string, seconds: number | null): Promise<boolean> {
  return (await tx.execute(updateDuration, [retentionClass, seconds])) === 1
}

const selectSchema = `
  SELECT json_schema FROM metadata_schemas WHERE schema_id = $1 AND version = $2`

export async function findMetadataSchema(session: Session, id: string, version: number): Promise<string | null> {
  const [row] = await session.query<{ json_schema: string }>(selectSchema, [id, version])
  return row?.json_schema ?? null
}

const upsertSchema = `
  INSERT INTO metadata_schemas (schema_id, version, json_schema, created_at) VALUES ($1, $2, $3, $4)
  ON CONFLICT (schema_id, version) DO UPDATE SET json_schema = excluded.json_schema`

export async function setMetadataSchema(
  tx: Tx,
  o: { readonly id: string; readonly version: number; readonly jsonSchema: string; readonly at: number },
): Promise<void> {
  await tx.execute(upsertSchema, [o.id, o.version, o.jsonSchema, o.at])
}

const insertMeta = `
  INSERT INTO registry_meta (id, registry_id, created_at) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`
const selectMeta = 'SELECT registry_id FROM registry_meta WHERE id = 1'

/** Who this store is: the id that it got when it was first opened. */
export async function identify(tx: Tx, newId: string, at: number): Promise<string> {
  await tx.execute(insertMeta, [newId, at])
  const [row] = await tx.query<{ registry_id: string }>(selectMeta)
  return row?.registry_id ?? newId
}

// ---- files -----------------------------------------------------------------------------------------------------------

export interface FileRow {
  readonly file_id: string
  readonly package_id: string
  readonly relative_path: string
  readonly path_key: string
  readonly media_type: string
  readonly size_bytes: number
  readonly digest_algorithm: string
  readonly digest_primary: string
  readonly digest_sha256: string
  readonly content_address: string
  readonly annotations: string
  readonly state: 'live' | 'replaced' | 'removed'
  readonly created_at: number
}

const fileColumns = `file_id, package_id, relative_path, path_key, media_type, size_bytes, digest_algorithm, digest_primary,
  digest_sha256, content_address, annotations, state, created_at`

const selectFile = `SELECT ${fileColumns} FROM artifact_files WHERE file_id = $1`

export async function findFile(session: Session, fileId: string): Promise<FileRow | null> {
  const [row] = await session.query<FileRow>(selectFile, [fileId])
  return row ?? null
}

const selectByKey = `SELECT ${fileColumns} FROM artifact_files WHERE package_id = $1 AND path_key = $2 AND state = 'live'`

/** The live file of a package under a path key. */
export async function findFileByKey(session: Session, packageId: string, pathKey: string): Promise<FileRow | null> {
  const [row] = await session.query<FileRow>(selectByKey, [packageId, pathKey])
  return row ?? null
}

const selectBelow = `
  SELECT file_id FROM artifact_files
   WHERE package_id = $1 AND state = 'live' AND path_key > $2 AND path_key < $3 LIMIT 1`

/** Whether a live file stands in the directory that a path would be. */
export async function hasFilesBelow(session: Session, packageId: string, pathKey: string): Promise<boolean> {
  // 0 is the character after the slash.
  return (await session.query(selectBelow, [packageId, `${pathKey}/`, `${pathKey}0`])).length > 0
}

const pageFilesText = `
  SELECT ${fileColumns} FROM artifact_files
   WHERE package_id = $1 AND relative_path > $2 AND state = 'live' ORDER BY relative_path LIMIT $3`

/** Live files of a package in the order of their paths' bytes, those after one. */
export function pageFiles(
  session: Session,
  o: { readonly packageId: string; readonly after: string; readonly limit: number },
): Promise<readonly FileRow[]> {
  return session.query(pageFilesText, [o.packageId, o.after, o.limit])
}

const selectByAddress = `
  SELECT ${fileColumns} FROM artifact_files WHERE content_address = $1 ORDER BY file_id LIMIT $2`

/** Files of a content, in any state. */
export function listFilesByAddress(session: Session, address: string, limit: number): Promise<readonly FileRow[]> {
  return session.query(selectByAddress, [address, limit])
}

const selectOfContent = `
  SELECT file_id FROM artifact_files WHERE content_address = $1 AND package_id = $2 AND state = 'live' LIMIT 1`

/** A live file of a package with this content. */
export async function findFileOfContent(session: Session, packageId: string, address: string): Promise<string | null> {
  const [row] = await session.query<{ file_id: string }>(selectOfContent, [address, packageId])
  return row?.file_id ?? null
}

// ---- what ingest and garbage collection tell each other --------------------------------------------------------------

const selectDeletions = 'SELECT objects_deleted FROM registry_meta WHERE id = 1'

/** How many objects were ever deleted. Under the lock of an address it counts every deletion of that object. */
export async function countDeletions(session: Session): Promise<number> {
  const [row] = await session.query<{ objects_deleted: number }>(selectDeletions)
  return row?.objects_deleted ?? 0
}

const updateDeletions = 'UPDATE registry_meta SET objects_deleted = objects_deleted + 1 WHERE id = 1'

/** Counts a deletion, in the transaction under whose lock it is made, before it is known whether it is one. */
export async function noteDeletion(tx: Tx): Promise<void> {
  await tx.execute(updateDeletions)
}

const holdText = 'UPDATE registry_meta SET objects_deleted = objects_deleted WHERE id = 1'

/**
 * Until the end of the transaction nobody deletes an object, whatever its address: for so many that their locks would be
 * too many.
 *
 * @returns how many objects were ever deleted
 */
export async function holdDeletions(tx: Tx): Promise<number> {
  await tx.execute(holdText)
  return countDeletions(tx)
}

const upsertPut = `
  INSERT INTO blob_state (backend_id, content_address, first_seen_at, last_put_at) VALUES ($1, $2, $3, $3)
  ON CONFLICT (backend_id, content_address) DO UPDATE SET last_put_at = excluded.last_put_at, doomed_at = NULL`

/** Notes that an object was put, and is wanted. The address is locked. */
export async function notePut(tx: Tx, backendId: string, address: string, at: number): Promise<void> {
  await tx.execute(upsertPut, [backendId, address, at])
}

// ---- retention -------------------------------------------------------------------------------------------------------

export interface RetentionRow {
  readonly package_id: string
  readonly retention_class: string
  readonly default_expires_at: number | null
  readonly current_expires_at: number | null
  readonly active_hold_id: string | null
  readonly hold_reason: string | null
  /** As the engine writes a boolean. */
  readonly eligible_for_deletion: unknown
  readonly eligible_at: number | null
}

const retentionColumns = `package_id, retention_class, default_expires_at, current_expires_at, active_hold_id, hold_reason,
  eligible_for_deletion, eligible_at`

const selectRetention = `SELECT ${retentionColumns} FROM retention_state WHERE package_id = $1`

export async function findRetention(session: Session, packageId: string): Promise<RetentionRow | null> {
  const [row] = await session.query<RetentionRow>(selectRetention, [packageId])
  return row ?? null
}
