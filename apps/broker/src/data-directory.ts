/**
 * The broker's directory: who owns it, and where others find the broker that does.
 *
 * | file              | content                                          |
 * |-------------------|--------------------------------------------------|
 * | `lock`            | held while a broker runs on the directory        |
 * | `pid`             | its process id                                   |
 * | `broker.db`       | the database                                     |
 * | `broker.log`      | JSON lines                                       |
 * | `endpoint.json`   | `{url, pid, started_at}`, there while it listens |
 * | `retention-clock` | the time that was believed last                  |
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory, FileLock, isLocked, writeFileAtomic } from '@claudemesh/storage'

interface DataPaths {
  readonly lock: string
  readonly pid: string
  readonly database: string
  readonly log: string
  readonly endpoint: string
  readonly retentionClock: string
}

export function dataPaths(data: string): DataPaths {
  return {
    lock: join(data, 'lock'),
    pid: join(data, 'pid'),
    database: join(data, 'broker.db'),
    log: join(data, 'broker.log'),
    endpoint: join(data, 'endpoint.json'),
    retentionClock: join(data, 'retention-clock'),
  }
}

/** Where a broker listens, and as which process. */
export interface BrokerEndpoint {
  readonly url: string
  readonly pid: number
}

/** A directory that this process owns until `release`. */
export class DataDirectory {
  readonly paths: DataPaths
  readonly #lock: FileLock

  private constructor(paths: DataPaths, lock: FileLock) {
    this.paths = paths
    this.#lock = lock
  }

  /** @throws MeshError `already_running`, or `unsafe_permissions` */
  static acquire(data: string): DataDirectory {
    ensurePrivateDirectory(data)
    const paths = dataPaths(data)
    const lock = FileLock.acquire(paths.lock)
    if (lock === null) {
      throw new MeshError('already_running', {
        detail: `another broker runs on ${data}`,
        hint: 'See `claudemesh broker status`.',
      })
    }
    writeFileAtomic(paths.pid, `${process.pid}\n`, { mode: 0o600 })
    return new DataDirectory(paths, lock)
  }

  /** Tells others where to find this broker. */
  publish(endpoint: { readonly url: string; readonly startedAt: number }): void {
    const document = { url: endpoint.url, pid: process.pid, started_at: endpoint.startedAt }
    writeFileAtomic(this.paths.endpoint, `${JSON.stringify(document)}\n`, { mode: 0o600 })
  }

  release(): void {
    rmSync(this.paths.endpoint, { force: true })
    rmSync(this.paths.pid, { force: true })
    this.#lock.release()
  }
}

/** The broker that runs on a directory; null when none does. What a dead one left behind does not count. */
export function readBrokerEndpoint(data: string): BrokerEndpoint | null {
  const paths = dataPaths(data)
  if (!isLocked(paths.lock)) return null
  const document = readDocument(paths.endpoint)
  if (document === null || typeof document !== 'object') return null
  const { url, pid } = document as { url?: unknown; pid?: unknown }
  return typeof url === 'string' && typeof pid === 'number' ? { url, pid } : null
}

function readDocument(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    // It holds the lock but does not listen yet, or no longer.
    return null
  }
}
