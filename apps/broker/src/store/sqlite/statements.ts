/**
 * The SQL of the engine itself; what belongs to one operation stands in that operation's folder.
 *
 * The file is never analysed, so its planner takes every key of which the first column is given for nearly as good as one of
 * which all are, and would read the rows of a whole mesh to find those of one member. Where the primary key begins with
 * the mesh and goes on with something else, the index is therefore named: `INDEXED BY`.
 */
import type { Database } from '@claudemesh/storage'

/** A part of a transaction that can be undone alone. */
export function prepareBoundaries(db: Database) {
  const savepoint = db.prepare('SAVEPOINT work')
  const release = db.prepare('RELEASE work')
  const rollback = db.prepare('ROLLBACK TO work')
  return {
    savepoint: (): void => void savepoint.run(),
    release: (): void => void release.run(),
    rollback: (): void => void rollback.run(),
  }
}

export function prepareService(db: Database) {
  const count = db.prepare<[], { meshes: number; members: number; deliveries: number }>(`
    SELECT (SELECT count(*) FROM mesh)           AS meshes,
           (SELECT count(*) FROM member WHERE status = 'active') AS members,
           (SELECT count(*) FROM (SELECT 1 FROM delivery_queue LIMIT 100001)) AS deliveries`)
  // Ids ascend with their making.
  const newest = ['topic_message', 'message_queue'].map((table) =>
    db.prepare<[], { at: number }>(`
    SELECT accepted_at AS at FROM ${table} WHERE id = (SELECT max(id) FROM ${table})`),
  )
  const one = db.prepare<[], { one: number }>('SELECT count(*) AS one FROM mesh')
  return {
    count: () => count.get() ?? { meshes: 0, members: 0, deliveries: 0 },
    /** 0: there is no message. */
    lastAcceptedAt: (): number => Math.max(...newest.map((statement) => statement.get()?.at ?? 0)),
    ping: (): void => void one.get(),
  }
}

export type Counters = ReturnType<typeof prepareCounters>

/** The last numbers that a mesh has given out. */
export function prepareCounters(db: Database) {
  const select = db.prepare<[string], { lastHistoryId: number; lastDeliveryId: number }>(`
    SELECT last_history_id AS lastHistoryId, last_delivery_id AS lastDeliveryId FROM mesh_counter WHERE mesh_id = ?`)
  const update = db.prepare<[number, number, string]>(`
    UPDATE mesh_counter SET last_history_id = ?, last_delivery_id = ? WHERE mesh_id = ?`)
  const takeDeliveryId = db.prepare<[string], { last: number }>(`
    UPDATE mesh_counter SET last_delivery_id = last_delivery_id + 1 WHERE mesh_id = ?
    RETURNING last_delivery_id AS last`)
  return {
    read: (meshId: string) => select.get(meshId),
    write: (meshId: string, last: { lastHistoryId: number; lastDeliveryId: number }) =>
      update.run(last.lastHistoryId, last.lastDeliveryId, meshId).changes,
    takeDeliveryId: (meshId: string) => takeDeliveryId.get(meshId)?.last,
  }
}
