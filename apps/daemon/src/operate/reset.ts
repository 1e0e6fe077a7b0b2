/**
 * A member with empty stores again, or no member any more (03 §5).
 *
 * 1. Without `confirm` nothing is changed: it is said what would go.
 * 2. Keys, certificates, invites, configuration and the log stay, unless the member is given up too. What is kept outside of
 *    the daemon's directory, such as a bucket of artifacts, is not touched.
 * 3. Messages that were acknowledged and wait to be sent are not dropped by the way: the caller says so.
 * 4. From the first removal to the last `reset-begun` stands in the directory. No daemon starts meanwhile, and the same command
 *    again comes to the same end.
 * 5. What was told to others is not told again under the same number: seqs of the history and ids of events go on above
 *    all that there were.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { restoredMark, seqsPath } from '@claudemesh/history'
import { readMeshFile } from '@claudemesh/identity'
import { type DaemonPaths, daemonPaths, MeshError, meshFilePath } from '@claudemesh/protocol'
import { crashPoint, syncDirectory, writeFileAtomic } from '@claudemesh/storage'
import { Events } from '../events/events.ts'
import { acceptBatchMaxDefault } from '../limits.ts'
import { Outbox } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'
import { lockStopped } from './lock-stopped.ts'

interface ResetRequest {
  readonly home: string
  /** Of the mesh. */
  readonly slug: string
  /** False: only say what would go. */
  readonly confirm: boolean
  /** Whether messages that wait to be sent go too. */
  readonly discardOutbox: boolean
  /** Whether keys, certificates and the mesh itself go too. */
  readonly forgetMember: boolean
  /** Whether the root key may be among them. */
  readonly discardRootKey: boolean
  readonly runtime: Runtime
}

/** Something in the directory of a daemon that goes. */
export interface ResetEntry {
  readonly path: string
  readonly bytes: number
}

interface Reset {
  readonly entries: readonly ResetEntry[]
  /** Messages that wait to be sent; null when the outbox cannot be read. */
  readonly waiting: number | null
  readonly memberId: string
}

/** Names in the directory that are no state of a member. */
const kept: ReadonlySet<string> = new Set(['lock', 'config.toml', 'hooks', 'recovered', 'reset-begun'])
const ofMember: ReadonlySet<string> = new Set([
  'keypair.json',
  'keypair-archive.json',
  'rotation-intent.json',
  'host_fingerprint.json',
  'local_token',
  'invites.jsonl',
])

/**
 * @throws MeshError `mesh_not_configured`, `already_running`, `outbox_not_empty`, `root_key_at_stake`, `database_corrupt` when it
 *   cannot be said what waits; `unsafe_permissions`, `insufficient_storage`, `storage_failed`
 */
export function resetMember(o: ResetRequest): Reset {
  const meshFile = meshFilePath(o.home, o.slug)
  const { memberId, rootSeed } = readMeshFile(meshFile)
  const paths = daemonPaths(o.home, o.slug)
  const lock = lockStopped(paths, { slug: o.slug, held: 'its stores open' })
  try {
    // What an earlier attempt has left is gone in any case.
    const waiting = existsSync(paths.resetBegun) ? 0 : countWaiting(paths, o)
    const names = readdirSync(paths.directory).filter((name) => goes(name, o.forgetMember))
    const files = [...names.map((name) => join(paths.directory, name)), ...(o.forgetMember ? [meshFile] : [])]
    const entries = files.map((path) => ({ path, bytes: bytesBelow(path) }))
    const found = { entries, waiting, memberId }
    if (!o.confirm) return found
    if (!o.discardOutbox && (waiting ?? 0) > 0) {
      throw new MeshError('outbox_not_empty', { detail: `${waiting} messages wait to be sent`, data: { waiting } })
    }
    if (o.forgetMember && rootSeed !== null && !o.discardRootKey) {
      throw new MeshError('root_key_at_stake', { detail: `${meshFile} holds the root key of the mesh ${o.slug}` })
    }
    empty(paths, names, o)
    if (o.forgetMember) rmSync(meshFile, { force: true })
    syncDirectory(dirname(meshFile))
    return found
  } finally {
    lock.release()
  }
}

function goes(name: string, forgetMember: boolean): boolean {
  return !kept.has(name) && !name.startsWith('daemon.log') && (forgetMember || !ofMember.has(name))
}

function empty(paths: DaemonPaths, names: readonly string[], { forgetMember, runtime }: ResetRequest): void {
  writeFileAtomic(paths.resetBegun, '', { mode: 0o600 })
  crashPoint('daemon.reset.begun')
  for (const name of names) {
    const path = join(paths.directory, name)
    if (path === paths.history) emptyHistory(path, runtime)
    else rmSync(path, { recursive: true, force: true })
    crashPoint('daemon.reset.removed')
  }
  // A home without a member has no store either, so that another member can be restored into it.
  if (!forgetMember) Events.open({ path: paths.eventsDatabase, runtime, succeeds: true }).close()
  syncDirectory(paths.directory)
  crashPoint('daemon.reset.emptied')
  rmSync(paths.resetBegun, { force: true })
  syncDirectory(paths.directory)
}

/** The counter stays, and goes on behind everything that may have been exported. */
function emptyHistory(directory: string, runtime: Runtime): void {
  const mark = seqsPath(directory)
  const bytes = existsSync(mark) ? readFileSync(mark) : null
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    if (path !== mark) rmSync(path, { recursive: true, force: true })
  }
  writeFileAtomic(mark, restoredMark(bytes, runtime.now()).text, { mode: 0o600 })
}

function countWaiting(paths: DaemonPaths, { discardOutbox, runtime }: ResetRequest): number | null {
  if (!existsSync(paths.outboxDatabase)) return 0
  try {
    const outbox = Outbox.open({ path: paths.outboxDatabase, runtime, acceptBatchMax: acceptBatchMaxDefault })
    try {
      return outbox.counts().pending
    } finally {
      outbox.close()
    }
  } catch (error) {
    if (discardOutbox && error instanceof MeshError && error.code === 'database_corrupt') return null
    throw error
  }
}

function bytesBelow(path: string): number {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return 0
  if (!found.isDirectory()) return found.size
  return readdirSync(path).reduce((bytes, name) => bytes + bytesBelow(join(path, name)), 0)
}
