/**
 * What the databases of a mesh hold, looked at where no process of it runs. Each is opened by the code that the processes
 * open it with, which checks and recovers it, before its rows are read.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { SqliteStore } from '../../../apps/broker/src/store/sqlite/sqlite-store.ts'
import { Inbox } from '../../../apps/daemon/src/inbox/inbox.ts'
import { Outbox } from '../../../apps/daemon/src/outbox/outbox.ts'
import { systemRuntime } from '../../../apps/daemon/src/runtime.ts'
import { daemonPaths } from '../../../packages/protocol/src/index.ts'
import { meshSlug } from '../mesh.ts'
import type { Acknowledgement } from './acknowledgements.ts'

interface OutboxRowOnDisk {
  readonly key: string
  readonly status: 'pending' | 'inflight' | 'done' | 'dead' | 'aborted'
  readonly attempts: number
}

export interface MeshOnDisk {
  /** In the order in which they were accepted. */
  readonly outbox: ReadonlyMap<string, OutboxRowOnDisk>
  /** What the broker has committed. */
  readonly broker: ReadonlySet<string>
  /** What it has not had an acknowledgement of. */
  readonly undelivered: ReadonlySet<string>
  /** In the order in which they came in. */
  readonly inbox: readonly string[]
}

/** The parts of a mesh whose databases are looked at. */
export const lookedAt = /^(alice|bob|broker)(\/.*)?\/(outbox|inbox|broker)\.db(-wal|-journal)?$/

/** Opens and reads alice's outbox, the broker's tables and bob's inbox; what is not there yet is empty. */
export async function lookAtMesh(directory: string): Promise<MeshOnDisk> {
  const runtime = systemRuntime()
  const outboxPath = daemonPaths(join(directory, 'alice'), meshSlug).outboxDatabase
  const inboxPath = daemonPaths(join(directory, 'bob'), meshSlug).inboxDatabase
  const brokerPath = join(directory, 'broker', 'broker.db')
  const outbox = await rowsOf<OutboxRowOnDisk>(outboxPath, {
    open: (path) => Outbox.open({ path, runtime, acceptBatchMax: 256 }),
    sql: 'SELECT client_message_id AS key, status, attempts FROM outbox ORDER BY rowid',
  })
  const broker = await rowsOf<{ key: string; waits: number }>(brokerPath, {
    open: (path) => SqliteStore.open({ path, runtime }),
    sql: `SELECT d.client_message_id AS key, q.delivery_id IS NOT NULL AS waits FROM client_message_dedupe d
            LEFT JOIN delivery_queue q ON q.broker_message_id = d.broker_message_id ORDER BY d.seq`,
  })
  const inbox = await rowsOf<{ key: string }>(inboxPath, {
    open: (path) => Inbox.open({ path, runtime, hadOne: true }).inbox,
    sql: 'SELECT client_message_id AS key FROM inbox ORDER BY seq',
  })
  return {
    outbox: new Map(outbox.map((row) => [row.key, row])),
    broker: new Set(broker.map(({ key }) => key)),
    undelivered: new Set(broker.filter(({ waits }) => waits === 1).map(({ key }) => key)),
    inbox: inbox.map(({ key }) => key),
  }
}

async function rowsOf<Row>(
  path: string,
  o: { readonly open: (path: string) => { close(): unknown }; readonly sql: string },
): Promise<readonly Row[]> {
  if (!existsSync(path)) return []
  await o.open(path).close()
  const db = new BetterSqlite3(path, { readonly: true })
  try {
    return db.prepare<[], Row>(o.sql).all()
  } finally {
    db.close()
  }
}

/** What contradicts the promises, one sentence each: of what was acknowledged, and of what one place says of the next. */
export function findViolations(mesh: MeshOnDisk, acknowledged: readonly Acknowledgement[]): readonly string[] {
  const inbox = new Set(mesh.inbox)
  const atBroker = (key: string) => mesh.broker.has(key) && (mesh.undelivered.has(key) || inbox.has(key))
  const found: string[] = []
  for (const { key, proven } of acknowledged) {
    if (!mesh.outbox.has(key)) found.push(`${key} was acknowledged and is not in the outbox`)
    if (proven !== 'queued' && !atBroker(key)) found.push(`${key} was reported accepted and is not at the broker`)
    if (proven === 'delivered' && !inbox.has(key)) found.push(`${key} was reported delivered and is not in the inbox`)
  }
  for (const { key, status } of mesh.outbox.values()) {
    if (status === 'dead' || status === 'aborted') found.push(`${key} is ${status} in the outbox`)
    if (status === 'done' && !atBroker(key)) found.push(`${key} is done in the outbox and the broker does not have it`)
  }
  for (const key of mesh.broker) {
    if (!mesh.outbox.has(key)) found.push(`${key} is at the broker and not in the outbox`)
    if (!mesh.undelivered.has(key) && !inbox.has(key)) found.push(`${key} left the broker and is not in the inbox`)
  }
  if (inbox.size !== mesh.inbox.length) found.push('a message is in the inbox twice')
  for (const key of inbox) if (!mesh.broker.has(key)) found.push(`${key} is in the inbox and not at the broker`)
  return found
}

/** Messages that came in before one that was accepted earlier, of those that went out at the first attempt. */
export function findDisorder({ outbox, inbox }: MeshOnDisk): readonly string[] {
  const sentOnce = [...outbox.values()].filter(({ attempts }) => attempts <= 1).map(({ key }) => key)
  const place = new Map(sentOnce.map((key, index) => [key, index]))
  const found: string[] = []
  let latest = -1
  for (const key of inbox) {
    const own = place.get(key)
    if (own === undefined) continue
    if (own < latest) found.push(`${key} came in after ${sentOnce[latest]}`)
    latest = Math.max(latest, own)
  }
  return found
}
