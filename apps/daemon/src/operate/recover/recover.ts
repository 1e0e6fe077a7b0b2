/**
 * A home with damaged stores, made usable again (03 §5).
 *
 * 1. Nothing is deleted: a damaged file is moved aside under a name that says when. Without `confirm` nothing is changed.
 * 2. What nobody else has is read out of a damaged store first, as far as it can be read. What is missing is said.
 * 3. Sends that have ended without success are written out as lines of JSON before anything is moved.
 * 4. From the first renaming to the last `recover-begun` stands in the directory. No daemon starts meanwhile, and the
 *    next recovery goes on where this one was stopped. A salvaged file stands beside its store until then, whole or begun anew.
 */
import { existsSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { type DaemonPaths, daemonPaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import {
  crashPoint,
  ensurePrivateDirectory,
  FileLock,
  type SalvagedTable,
  syncDirectory,
  writeFileAtomic,
} from '@claudemesh/storage'
import { moveAside } from '../../quarantine.ts'
import type { Runtime } from '../../runtime.ts'
import { examine, type Finding, type RecoverableStore, type Remedy, storesOf } from './damaged-stores.ts'
import { exportDead } from './export-dead.ts'

interface RecoveryRequest {
  readonly home: string
  /** Of the mesh. */
  readonly slug: string
  /** False: only look, and say what would be done. */
  readonly confirm: boolean
  readonly runtime: Runtime
}

/** One store, as it was found and what was done. */
interface RecoveredStore extends Finding {
  readonly store: string
  readonly path: string
  readonly remedy: Remedy
  readonly afterwards: string
  /** What is in its new database; null when nothing was salvaged. */
  readonly salvaged: readonly SalvagedTable[] | null
  /** Where the damaged file is now; null when it was not moved. */
  readonly moved_to: string | null
}

interface Recovery {
  readonly stores: readonly RecoveredStore[]
  /** An earlier recovery had been stopped, and was brought to its end, or would be. */
  readonly was_interrupted: boolean
  /** File of the sends that had ended without success in a damaged outbox; null when there were none. */
  readonly dead_exported_to: string | null
}

/**
 * Looks at every store of a member whose daemon does not run and, when confirmed, brings back what is damaged.
 *
 * @throws MeshError `mesh_not_configured`, `already_running`, `unsafe_permissions`, `insufficient_storage`, `storage_failed`
 */
export function recoverHome(o: RecoveryRequest): Recovery {
  const meshFile = meshFilePath(o.home, o.slug)
  if (!existsSync(meshFile)) throw new MeshError('mesh_not_configured', { detail: `there is no ${meshFile}` })
  const paths = daemonPaths(o.home, o.slug)
  ensurePrivateDirectory(paths.directory)
  const lock = FileLock.acquire(paths.lock)
  if (lock === null) {
    throw new MeshError('already_running', {
      detail: `the daemon of mesh ${o.slug} runs, and has its stores open`,
      hint: `Stop it first: \`claudemesh daemon stop --mesh ${o.slug}\`.`,
    })
  }
  try {
    const wasInterrupted = existsSync(paths.recoverBegun)
    if (wasInterrupted && o.confirm) putInPlace(paths, o.runtime)
    const found = storesOf(paths).map((store) => ({ store, finding: examine(store) }))
    const damaged = found.filter(({ finding }) => finding.state === 'damaged').map(({ store }) => store)
    const done = o.confirm ? bringBack({ paths, damaged, runtime: o.runtime }) : nothingDone
    return {
      stores: found.map(({ store, finding }) => ({
        store: store.name,
        path: store.path,
        ...finding,
        remedy: store.remedy,
        afterwards: store.afterwards,
        salvaged: done.salvaged.get(store) ?? null,
        moved_to: done.moved.get(store.path) ?? null,
      })),
      was_interrupted: wasInterrupted,
      dead_exported_to: done.deadExportedTo,
    }
  } finally {
    lock.release()
  }
}

interface Done {
  readonly salvaged: ReadonlyMap<RecoverableStore, readonly SalvagedTable[]>
  /** Old path to new. */
  readonly moved: ReadonlyMap<string, string>
  readonly deadExportedTo: string | null
}

const nothingDone: Done = { salvaged: new Map(), moved: new Map(), deadExportedTo: null }

function bringBack(o: { paths: DaemonPaths; damaged: readonly RecoverableStore[]; runtime: Runtime }): Done {
  const { paths, damaged, runtime } = o
  if (damaged.every(({ remedy }) => remedy === 'none')) return nothingDone
  // Of an attempt that was killed before it moved anything: the store may have changed since.
  for (const { path } of storesOf(paths)) rmSync(salvagedPath(path), { force: true })
  const salvaged = new Map<RecoverableStore, readonly SalvagedTable[]>()
  for (const store of damaged) {
    if (store.remedy === 'salvage') salvaged.set(store, store.salvage({ to: salvagedPath(store.path), runtime }))
    crashPoint('daemon.recover.salvaged')
  }
  const outbox = [...salvaged.keys()].find(({ name }) => name === 'outbox')
  const deadExportedTo = outbox === undefined ? null : exportDead({ paths, from: salvagedPath(outbox.path), runtime })
  writeFileAtomic(paths.recoverBegun, '', { mode: 0o600 })
  crashPoint('daemon.recover.begun')
  const renewed = damaged.filter(({ remedy }) => remedy === 'renew')
  const moved = new Map<string, string>()
  for (const { path } of renewed) {
    const to = moveAside(path, runtime.now())
    if (to !== null) moved.set(path, to)
  }
  for (const [path, to] of putInPlace(paths, runtime)) moved.set(path, to)
  return { salvaged, moved, deadExportedTo }
}

/**
 * Puts every salvaged file in the place of the damaged one. While a salvaged file is there, what stands at its place is
 * what is damaged.
 */
function putInPlace(paths: DaemonPaths, runtime: Runtime): ReadonlyMap<string, string> {
  const moved = new Map<string, string>()
  for (const { path } of storesOf(paths)) {
    if (!existsSync(salvagedPath(path))) continue
    const to = moveAside(path, runtime.now())
    if (to !== null) moved.set(path, to)
    crashPoint('daemon.recover.moved-aside')
    renameSync(salvagedPath(path), path)
    syncDirectory(dirname(path))
    crashPoint('daemon.recover.in-place')
  }
  rmSync(paths.recoverBegun, { force: true })
  syncDirectory(paths.directory)
  return moved
}

function salvagedPath(path: string): string {
  return `${path}.salvaged`
}
