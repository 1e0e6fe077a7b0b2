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
import { daemonPaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import {
  crashPoint,
  ensurePrivateDirectory,
  type SalvagedTable,
  syncDirectory,
  writeFileAtomic,
} from '@claudemesh/storage'
import { registryConfigOf } from '../../artifacts/registry-config.ts'
import { loadConfig } from '../../config/config.ts'
import { moveAside } from '../../quarantine.ts'
import type { Runtime } from '../../runtime.ts'
import { lockStopped } from '../lock-stopped.ts'
import { artifactsOf } from './artifacts.ts'
import {
  examine,
  type Finding,
  type Place,
  type RecoverableStore,
  type Remedy,
  type Salvaged,
  storesOf,
} from './damaged-stores.ts'
import { exportDead } from './export-dead.ts'
import { partitionsOf } from './history-partitions.ts'
import { sinkStatesOf } from './sink-states.ts'
import { spacesOf } from './spaces.ts'

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
  /** What else is to be known of that, in sentences. */
  readonly notes: readonly string[]
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
export async function recoverHome(o: RecoveryRequest): Promise<Recovery> {
  const meshFile = meshFilePath(o.home, o.slug)
  if (!existsSync(meshFile)) throw new MeshError('mesh_not_configured', { detail: `there is no ${meshFile}` })
  const { runtime } = o
  const paths = daemonPaths(o.home, o.slug)
  const { artifacts, spaces } = loadConfig({ home: o.home, mesh: o.slug, flags: {} }).config
  const place = {
    paths,
    artifacts: artifactsOf(registryConfigOf({ paths, config: artifacts, runtime })),
    spaces: spacesOf({ paths, config: spaces }),
    records: [...partitionsOf(paths.history), ...sinkStatesOf(paths.sinks)],
  }
  ensurePrivateDirectory(paths.directory)
  const lock = lockStopped(paths, { slug: o.slug, held: 'its stores open' })
  try {
    const wasInterrupted = existsSync(paths.recoverBegun)
    if (wasInterrupted && o.confirm) putInPlace(place, runtime)
    const found: { store: RecoverableStore; finding: Finding }[] = []
    for (const store of storesOf(place)) found.push({ store, finding: await examine(store) })
    const damaged = found.filter(({ finding }) => finding.state === 'damaged').map(({ store }) => store)
    const done = o.confirm ? await bringBack({ place, damaged, runtime }) : nothingDone
    return {
      stores: found.map(({ store, finding }) => ({
        store: store.name,
        path: store.path,
        ...finding,
        remedy: store.remedy,
        afterwards: store.afterwards,
        salvaged: done.salvaged.get(store)?.tables ?? null,
        notes: done.salvaged.get(store)?.notes ?? [],
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
  readonly salvaged: ReadonlyMap<RecoverableStore, Salvaged>
  /** Old path to new. */
  readonly moved: ReadonlyMap<string, string>
  readonly deadExportedTo: string | null
}

const nothingDone: Done = { salvaged: new Map(), moved: new Map(), deadExportedTo: null }

async function bringBack(o: {
  readonly place: Place
  readonly damaged: readonly RecoverableStore[]
  readonly runtime: Runtime
}): Promise<Done> {
  const { place, damaged, runtime } = o
  const { paths } = place
  if (damaged.every(({ remedy }) => remedy === 'none')) return nothingDone
  // Of an attempt that was killed before it moved anything: the store may have changed since.
  for (const { path } of storesOf(place)) rmSync(salvagedPath(path), { recursive: true, force: true })
  const salvaged = new Map<RecoverableStore, Salvaged>()
  for (const store of damaged) {
    if (store.remedy === 'salvage') salvaged.set(store, await store.salvage({ to: salvagedPath(store.path), runtime }))
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
  for (const [path, to] of putInPlace(place, runtime)) moved.set(path, to)
  return { salvaged, moved, deadExportedTo }
}

/**
 * Puts every salvaged file in the place of the damaged one. While a salvaged file is there, what stands at its place is
 * what is damaged.
 */
function putInPlace(place: Place, runtime: Runtime): ReadonlyMap<string, string> {
  const { paths } = place
  const moved = new Map<string, string>()
  for (const { path } of storesOf(place)) {
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
