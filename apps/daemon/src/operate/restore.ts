/**
 * A member back from its backup (03 §5), in a home that does not have it.
 *
 * 1. Nothing is written over: a home that has the mesh, or any database of it, is refused.
 * 2. The mesh file is written last and makes the member exist. What a restore leaves that was killed before it is marked
 *    as such, belongs to nobody, and is replaced by the next one.
 * 3. What the outbox holds is sent as if the daemon had only been away: rows that were sealed before carry the same
 *    bytes under the same ids, and the broker answers what it has already with 200.
 * 4. Sinks go on with what the restored home records: its seqs, and they with them, begin behind everything that the other
 *    home may have exported.
 * 5. A row that was not is noted as restored. Should the broker know its id, then it was sent after the backup: it is
 *    refused, and the row says so.
 *
 * The host it is restored on is accepted by the next start.
 */
import { existsSync, rmSync } from 'node:fs'
import { restoredMark } from '@claudemesh/history'
import { daemonPaths, homePaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import { openWithPassphrase } from '@claudemesh/sealing'
import { restoreSinks } from '@claudemesh/sinks/state'
import {
  crashPoint,
  ensurePrivateDirectory,
  FileLock,
  listDatabases,
  syncDirectory,
  writeFileAtomic,
} from '@claudemesh/storage'
import { acceptBatchMaxDefault } from '../limits.ts'
import { Outbox } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'
import { type BackupFacts, type PartName, partNames, partPath, unpackBackup } from './backup-file.ts'

export interface RestoreRequest {
  readonly home: string
  /** The mesh that the caller expects in it; null: whichever it is. */
  readonly slug: string | null
  readonly bytes: Uint8Array
  readonly passphrase: string
  /** False: the outbox in it stays behind, and nothing of it is sent. */
  readonly withOutbox: boolean
  readonly runtime: Runtime
}

export interface Restored {
  readonly facts: BackupFacts
  readonly parts: readonly PartName[]
  /** Parts that this home has already, and keeps. */
  readonly kept: readonly PartName[]
  /** Messages that the next start sends, or asks the broker about. */
  readonly waiting: number
}

/**
 * @throws MeshError `passphrase_wrong`, `passphrase_file_invalid`, `mesh_exists`, `already_running`,
 *   `invalid_request` when it is of another mesh; `database_corrupt`, `schema_too_new`, `unsafe_permissions`, `insufficient_storage`, `storage_failed`
 */
export async function restoreBackup(o: RestoreRequest): Promise<Restored> {
  const { facts, parts } = unpackBackup(await openWithPassphrase(o.bytes, o.passphrase))
  const { slug } = facts
  if (o.slug !== null && o.slug !== slug) {
    throw new MeshError('invalid_request', { detail: `the backup is of the mesh ${slug}, not of ${o.slug}` })
  }
  const paths = daemonPaths(o.home, slug)
  const place = { home: o.home, slug, paths }
  for (const directory of [o.home, homePaths(o.home).meshes, `${o.home}/daemon`, paths.directory, paths.history]) {
    ensurePrivateDirectory(directory)
  }
  assertEmpty(o.home, slug)
  const lock = FileLock.acquire(paths.lock)
  if (lock === null) {
    throw new MeshError('already_running', { detail: `another process is at work in ${paths.directory}` })
  }
  try {
    assertEmpty(o.home, slug)
    const chosen = new Map([...parts].filter(([name]) => name !== 'outbox' || o.withOutbox))
    const pathOf = (name: PartName) => partPath(name, place)
    writeFileAtomic(paths.restoreBegun, '', { mode: 0o600 })
    removeRemains(pathOf)
    const written = writeParts(chosen, pathOf, o.runtime)
    rmSync(paths.restoreBegun)
    syncDirectory(paths.directory)
    return { facts, ...written }
  } finally {
    lock.release()
  }
}

/** What an earlier restore wrote that did not come to its end. Configuration is what people write, and stays. */
function removeRemains(pathOf: (name: PartName) => string): void {
  for (const name of partNames) {
    if (name === 'home-config' || name === 'daemon-config') continue
    for (const suffix of ['', '-wal', '-shm', '-journal']) {
      rmSync(`${pathOf(name)}${suffix}`, { recursive: name === 'sinks', force: true })
    }
  }
}

function writeParts(
  parts: ReadonlyMap<PartName, Buffer>,
  pathOf: (name: PartName) => string,
  runtime: Runtime,
): Omit<Restored, 'facts'> {
  const written: PartName[] = []
  const kept: PartName[] = []
  let waiting = 0
  // What the other home recorded since its backup may have been exported: its seqs are not given again.
  const mark = restoredMark(parts.get('history-seqs') ?? null, runtime.now())
  for (const name of partNames) {
    const bytes = name === 'history-seqs' ? mark.text : parts.get(name)
    if (bytes === undefined) continue
    // The configuration of the home is for all its meshes, and is its own affair.
    if (name === 'home-config' && existsSync(pathOf(name))) {
      kept.push(name)
      continue
    }
    if (name === 'sinks') {
      const { nextId, now } = runtime
      restoreSinks(pathOf(name), { bytes: Buffer.from(bytes), seq: mark.seq, nextId, now: now() })
    } else {
      writeFileAtomic(pathOf(name), bytes, { mode: 0o600 })
    }
    written.push(name)
    crashPoint('daemon.restore.part-written')
    if (name === 'outbox') waiting = markRestored(pathOf(name), runtime)
  }
  return { parts: written, kept, waiting }
}

/** Opening it takes back what was on its way, so that every row that is to be sent is noted. */
function markRestored(path: string, runtime: Runtime): number {
  const outbox = Outbox.open({ path, runtime, acceptBatchMax: acceptBatchMaxDefault })
  try {
    return outbox.markRestored()
  } finally {
    outbox.close()
  }
}

function assertEmpty(home: string, slug: string): void {
  const { directory, restoreBegun } = daemonPaths(home, slug)
  const meshFile = meshFilePath(home, slug)
  const hint = `Restore into another home (CLAUDEMESH_HOME), or move the old one away first.`
  if (existsSync(meshFile)) {
    throw new MeshError('mesh_exists', { detail: `this home already has the mesh ${slug} (${meshFile})`, hint })
  }
  const databases = listDatabases(directory)
  if (databases.length > 0 && !existsSync(restoreBegun)) {
    throw new MeshError('mesh_exists', { detail: `${directory} holds ${databases.join(', ')} already`, hint })
  }
}
