import { existsSync } from 'node:fs'
import type { DaemonPaths } from '@claudemesh/protocol'
import { Events } from '../events/events.ts'
import { Inbox } from '../inbox/inbox.ts'
import { acceptBatchMaxDefault } from '../limits.ts'
import { Members } from '../members/members.ts'
import { AnnouncementReaders } from '../outbox/announcement-readers.ts'
import { Outbox } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'
import type { Closing } from './closing.ts'
import { OwnIdentity } from './identity.ts'

/** Everything that is on disk, open. */
export interface Stores {
  readonly outbox: Outbox
  readonly announcements: AnnouncementReaders
  readonly inbox: Inbox
  /** Where a damaged inbox was moved at this start. */
  readonly inboxMovedTo: string | null
  readonly events: Events
  readonly members: Members
  readonly identity: OwnIdentity
}

/**
 * Opens the stores in start-up order. The outbox comes first: it is the one whose damage must stop the start before
 * anything else is touched, since what it holds exists nowhere else. Opening includes integrity check, migrations and
 * recovery.
 *
 * @throws MeshError database_corrupt, schema_too_new, config_invalid, unsafe_permissions and what the storage throws
 */
export function openStores(o: {
  home: string
  slug: string
  paths: DaemonPaths
  runtime: Runtime
  closing: Closing
}): Stores {
  const { paths, runtime, closing } = o
  const outbox = Outbox.open({ path: paths.outboxDatabase, runtime, acceptBatchMax: acceptBatchMaxDefault })
  closing.add('outbox', () => outbox.close())
  // A home that came from a backup has members and no inbox.
  const hadOne = existsSync(paths.membersDatabase)
  const { inbox, rebuilt } = Inbox.open({ path: paths.inboxDatabase, runtime, hadOne })
  closing.add('inbox', () => inbox.close())
  const events = Events.open({ path: paths.eventsDatabase, runtime })
  closing.add('events', () => events.close())
  const identity = OwnIdentity.read({ home: o.home, slug: o.slug, paths, now: runtime.now() })
  const { mesh, memberId } = identity.meshFile
  const members = Members.open({
    path: paths.membersDatabase,
    runtime,
    mesh: { meshId: mesh.mesh_id, rootKey: mesh.root_key },
    selfId: memberId,
  })
  closing.add('members', () => members.close())
  const announcements = new AnnouncementReaders(outbox)
  return { outbox, announcements, inbox, inboxMovedTo: rebuilt?.movedTo ?? null, events, members, identity }
}
