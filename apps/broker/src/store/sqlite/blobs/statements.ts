/** Blobs, whom they name, the objects of their bytes, and how much each mesh has. */
import type { Database } from '@claudemesh/storage'
import type { Blob, BlobKey, RelayTerms, Reservation, SpooledPart, Upload } from '../../blobs.ts'
import type { MemberKey } from '../../rows.ts'

const columns = `b.state, b.size_bytes AS sizeBytes, b.expires_at AS expiresAt`
const keyColumns = `b.mesh_id AS meshId, b.address, b.sender`

/** A blob as it is ended. */
export interface EndingBlob extends BlobKey, Blob {}

interface UploadRow extends Blob {
  readonly spoolId: string | null
  readonly spoolOffset: number
}

function toUpload({ spoolId, spoolOffset, ...blob }: UploadRow): Upload {
  return { ...blob, spooled: spoolId === null ? null : { id: spoolId, offset: spoolOffset } }
}

export type BlobStatements = ReturnType<typeof prepareBlobs>

export function prepareBlobs(db: Database) {
  const insertTerms = db.prepare<[Buffer, string]>(`
    INSERT INTO relay (id, ticket_key, place) VALUES (1, ?, ?) ON CONFLICT (id) DO NOTHING`)
  const selectTerms = db.prepare<[], RelayTerms>(`SELECT ticket_key AS ticketKey, place FROM relay WHERE id = 1`)
  const select = db.prepare<[string, string, string], UploadRow>(`
    SELECT ${columns}, b.spool_id AS spoolId, b.spool_offset AS spoolOffset FROM blob b WHERE b.mesh_id = ? AND b.address = ? AND b.sender = ?`)
  const recordSpooled = db.prepare<[string | null, number, string, string, string, string | null, number]>(`
    UPDATE blob SET spool_id = ?, spool_offset = ?
     WHERE mesh_id = ? AND address = ? AND sender = ? AND state = 'open' AND spool_id IS ? AND spool_offset = ?`)
  const selectSpooled = db.prepare<[string], { one: number }>(`SELECT 1 AS one FROM blob WHERE spool_id = ?`)
  const selectReadable = db.prepare<{ meshId: string; address: string; memberId: string }, Blob>(`
    SELECT ${columns} FROM blob b
     WHERE b.mesh_id = @meshId AND b.address = @address AND b.state <> 'open'
       AND (b.sender = @memberId OR
            EXISTS (SELECT 1 FROM blob_recipient r
                     WHERE r.mesh_id = b.mesh_id AND r.address = b.address AND r.sender = b.sender
                       AND r.recipient = @memberId))`)
  const countOpen = db.prepare<[string, string], { open: number }>(`
    SELECT count(*) AS open FROM blob WHERE mesh_id = ? AND sender = ? AND state = 'open'`)
  const insert = db.prepare<Omit<Reservation, 'recipients' | 'quotaBytes' | 'blobsMax' | 'openMax'>>(`
    INSERT INTO blob (mesh_id, address, sender, size_bytes, created_at, touched_at, expires_at)
    VALUES (@meshId, @address, @sender, @sizeBytes, @now, @now, @expiresAt)`)
  const touch = db.prepare<[number, number, string, string, string]>(`
    UPDATE blob SET touched_at = ?, expires_at = max(expires_at, ?)
     WHERE mesh_id = ? AND address = ? AND sender = ? AND state <> 'expired'`)
  const insertRecipient = db.prepare<[string, string, string, string]>(`
    INSERT INTO blob_recipient (mesh_id, address, sender, recipient) VALUES (?, ?, ?, ?)
    ON CONFLICT (mesh_id, address, sender, recipient) DO NOTHING`)
  const markStored = db.prepare<[string, string, string]>(`
    UPDATE blob SET state = 'stored', spool_id = NULL WHERE mesh_id = ? AND address = ? AND sender = ? AND state = 'open'`)
  const markExpired = db.prepare<[string, string, string]>(`
    UPDATE blob SET state = 'expired', spool_id = NULL WHERE mesh_id = ? AND address = ? AND sender = ? AND state <> 'expired'`)
  const remove = db.prepare<[string, string, string]>(`
    DELETE FROM blob WHERE mesh_id = ? AND address = ? AND sender = ?`)
  const acknowledge = db.prepare<{ meshId: string; address: string; memberId: string; now: number }>(`
    UPDATE blob_recipient SET acknowledged_at = coalesce(acknowledged_at, @now)
     WHERE mesh_id = @meshId AND address = @address AND recipient = @memberId
       AND sender IN (SELECT b.sender FROM blob b
                       WHERE b.mesh_id = @meshId AND b.address = @address AND b.state = 'stored')`)
  const selectDone = db.prepare<[string, string], EndingBlob>(`
    SELECT ${keyColumns}, ${columns} FROM blob b
     WHERE b.mesh_id = ? AND b.address = ? AND b.state = 'stored'
       AND NOT EXISTS (SELECT 1 FROM blob_recipient r
                        WHERE r.mesh_id = b.mesh_id AND r.address = b.address AND r.sender = b.sender
                          AND r.acknowledged_at IS NULL)`)
  const selectEnding = db.prepare<[number, number], EndingBlob>(`
    SELECT ${keyColumns}, ${columns} FROM blob b WHERE b.state <> 'expired' AND b.expires_at <= ? LIMIT +?`)
  const selectIdle = db.prepare<[number, number], EndingBlob>(`
    SELECT ${keyColumns}, ${columns} FROM blob b WHERE b.state = 'open' AND b.touched_at < ? LIMIT +?`)
  const selectStored = db.prepare<[string], EndingBlob>(`
    SELECT ${keyColumns}, ${columns} FROM blob b WHERE b.address = ? AND b.state = 'stored'`)
  const forget = db.prepare<[number, number]>(`
    DELETE FROM blob WHERE (mesh_id, address, sender) IN
      (SELECT b.mesh_id, b.address, b.sender FROM blob b WHERE b.state = 'expired' AND b.expires_at < ? LIMIT +?)`)
  const insertUsage = db.prepare<[string]>(`
    INSERT INTO blob_usage (mesh_id) VALUES (?) ON CONFLICT (mesh_id) DO NOTHING`)
  const count = db.prepare<{ meshId: string; blobs: number; bytes: number }>(`
    UPDATE blob_usage SET blobs = blobs + @blobs, bytes = bytes + @bytes WHERE mesh_id = @meshId`)
  const selectUsage = db.prepare<[string], { blobs: number; bytes: number }>(`
    SELECT blobs, bytes FROM blob_usage WHERE mesh_id = ?`)
  const sumUsage = db.prepare<[], { blobs: number; bytes: number }>(`
    SELECT coalesce(sum(blobs), 0) AS blobs, coalesce(sum(bytes), 0) AS bytes FROM blob_usage`)
  const holdObject = db.prepare<{ address: string; leaseUntil: number }>(`
    INSERT INTO blob_object (address, lease_until) VALUES (@address, @leaseUntil)
    ON CONFLICT (address) DO UPDATE SET lease_until = max(lease_until, @leaseUntil) WHERE doomed = 0`)
  const countRefs = db.prepare<[number, string]>(`
    UPDATE blob_object SET refs = refs + ?, lease_until = 0 WHERE address = ? AND doomed = 0`)
  const doom = db.prepare<{ now: number; limit: number }, { address: string }>(`
    UPDATE blob_object SET doomed = 1 WHERE address IN
      (SELECT address FROM blob_object WHERE refs = 0 AND lease_until <= @now LIMIT +@limit)
    RETURNING address`)
  const forgetObject = db.prepare<[string]>(`DELETE FROM blob_object WHERE address = ? AND doomed = 1`)

  const parts = ({ meshId, address, sender }: BlobKey): [string, string, string] => [meshId, address, sender]
  return {
    agree(offered: RelayTerms): RelayTerms {
      insertTerms.run(offered.ticketKey, offered.place)
      return selectTerms.get() ?? offered
    },
    find(key: BlobKey): Upload | null {
      const row = select.get(...parts(key))
      return row === undefined ? null : toUpload(row)
    },
    /** @returns 0 when it is not as it was */
    recordSpooled: (key: BlobKey, { from, to }: { from: SpooledPart | null; to: SpooledPart | null }): number =>
      recordSpooled.run(to?.id ?? null, to?.offset ?? 0, ...parts(key), from?.id ?? null, from?.offset ?? 0).changes,
    isSpooled: (id: string): boolean => selectSpooled.get(id) !== undefined,
    /** Of several senders' blobs that the member may have one that is stored, if any is. */
    findReadable({ meshId, memberId }: MemberKey, address: string): Blob | null {
      const found = selectReadable.all({ meshId, address, memberId })
      return found.find(({ state }) => state === 'stored') ?? found[0] ?? null
    },
    countOpen: (meshId: string, sender: string): number => countOpen.get(meshId, sender)?.open ?? 0,
    used: (meshId: string) => selectUsage.get(meshId) ?? { blobs: 0, bytes: 0 },
    insert: ({ meshId, address, sender, sizeBytes, expiresAt, now }: Reservation): void =>
      void insert.run({ meshId, address, sender, sizeBytes, expiresAt, now }),
    touch: (key: BlobKey, to: { now: number; expiresAt: number }): number =>
      touch.run(to.now, to.expiresAt, ...parts(key)).changes,
    name: (key: BlobKey, recipient: string): void => void insertRecipient.run(...parts(key), recipient),
    markStored: (key: BlobKey): number => markStored.run(...parts(key)).changes,
    markExpired: (key: BlobKey): number => markExpired.run(...parts(key)).changes,
    remove: (key: BlobKey): number => remove.run(...parts(key)).changes,
    /** @returns in how many blobs that are stored the member is named */
    acknowledge: (member: MemberKey, has: { address: string; now: number }): number =>
      acknowledge.run({ meshId: member.meshId, memberId: member.memberId, ...has }).changes,
    /** Blobs that every recipient has. */
    listDone: (meshId: string, address: string): readonly EndingBlob[] => selectDone.all(meshId, address),
    listEnding: (now: number, limit: number): readonly EndingBlob[] => selectEnding.all(now, limit),
    listIdle: (before: number, limit: number): readonly EndingBlob[] => selectIdle.all(before, limit),
    listStored: (address: string): readonly EndingBlob[] => selectStored.all(address),
    forget: (before: number, limit: number): number => forget.run(before, limit).changes,
    count(meshId: string, change: { blobs: number; bytes: number }): void {
      insertUsage.run(meshId)
      count.run({ meshId, ...change })
    },
    usage: () => sumUsage.get() ?? { blobs: 0, bytes: 0 },
    /** @returns 0 when it is doomed */
    holdObject: (address: string, leaseUntil: number): number => holdObject.run({ address, leaseUntil }).changes,
    /** The lease of whoever published it is over. @returns 0 when it is doomed, or not there */
    countRefs: (address: string, change: 1 | -1): number => countRefs.run(change, address).changes,
    doom: (now: number, limit: number): readonly string[] => doom.all({ now, limit }).map((row) => row.address),
    forgetObject: (address: string): void => void forgetObject.run(address),
  }
}
