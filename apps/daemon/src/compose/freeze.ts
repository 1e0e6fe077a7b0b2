/** Part of the composition root: what seals the outbox of a daemon that is not running. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { daemonPaths, type FreezeResponse, MeshError } from '@claudemesh/protocol'
import { FileLock } from '@claudemesh/storage'
import pino from 'pino'
import { OwnBoxKeys } from '../box-keys.ts'
import { OwnIdentity } from '../lifecycle/identity.ts'
import { acceptBatchMaxDefault } from '../limits.ts'
import { Members } from '../members/members.ts'
import { Outbox } from '../outbox/outbox.ts'
import { systemRuntime } from '../runtime.ts'
import { freezeOutbox } from '../send/freeze-outbox.ts'
import { Recipients } from '../send/recipients.ts'
import { Sealer } from '../send/seal.ts'
import { SkippedRecipients } from '../send/skipped-recipients.ts'

/**
 * Seals what waits in the outbox of a stopped daemon, as its sender would, with what its directory last knew.
 *
 * @returns null when the daemon runs, and so does it itself
 * @throws MeshError what a start would throw of its stores and its identity
 */
export async function freezeStopped(o: {
  readonly home: string
  /** Of the mesh. */
  readonly slug: string
}): Promise<FreezeResponse | null> {
  const paths = daemonPaths(o.home, o.slug)
  if (!existsSync(paths.outboxDatabase)) return { frozen: 0, unsealed: 0 }
  const lock = FileLock.acquire(paths.lock)
  if (lock === null) return null
  const opened: { close(): void }[] = []
  try {
    const runtime = systemRuntime()
    const outbox = Outbox.open({ path: paths.outboxDatabase, runtime, acceptBatchMax: acceptBatchMaxDefault })
    opened.push(outbox)
    const identity = OwnIdentity.read({ ...o, paths, now: runtime.now() })
    const { mesh, memberId: selfId } = identity.meshFile
    const ofMesh = { mesh: { meshId: mesh.mesh_id, rootKey: mesh.root_key }, selfId }
    const members = Members.open({ path: paths.membersDatabase, runtime, ...ofMesh })
    opened.push(members)
    const { epoch } = identity.certificate
    const boxKeys = new OwnBoxKeys({ box: identity.keys.box, epoch, archived: identity.archived }, runtime.now)
    const log = pino({ level: 'silent' })
    const skipped = new SkippedRecipients(log)
    const recipients = new Recipients({
      members,
      request: askNobody,
      refreshDirectory: askNobody,
      onAnswered: () => undefined,
      skipped,
      runtime,
      log,
    })
    const sealer = new Sealer({ meshId: mesh.mesh_id, selfId, boxKeys, recipients, skipped, randomBytes })
    return await freezeOutbox({ outbox, seal: (row) => sealer.seal(row) })
  } finally {
    for (const store of opened.reverse()) store.close()
    lock.release()
  }
}

function askNobody(): Promise<never> {
  return Promise.reject(new MeshError('broker_unavailable', { detail: 'the daemon is not running' }))
}
