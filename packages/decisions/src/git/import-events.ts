/** Takes events over as they are (07 §6): however many there are, one change of the branch, or none. */
import { MeshError } from '@claudemesh/protocol'
import { type DecisionEvent, decodeEvent, encodeEvent } from '../event.ts'
import type { GitSpace } from './git-space.ts'
import type { HeldLease } from './leases.ts'
import type { WrittenPack } from './pack-writer.ts'
import { type AppendTarget, commitsOf } from './space-appender.ts'

/** Events in one pack. */
const packEventsMax = 4_096

/**
 * @param space nobody else's: it is thrown away afterwards
 * @returns how many there were
 * @throws MeshError as `DecisionLog.importEvents` says, `history_rewritten`, `log_corrupt`, `space_busy`
 */
export async function importEvents(
  space: GitSpace,
  events: AsyncIterable<DecisionEvent>,
  target: AppendTarget & { readonly lease: HeldLease | null },
): Promise<number> {
  // Who may not append is told before anything is read.
  await target.leases.fence(space.name, target.lease)
  await space.ready()
  if (space.damage !== null) throw space.damage
  const packs: WrittenPack[] = []
  const { head: from } = space
  let head = from
  let taken: DecisionEvent[] = []
  let count = 0
  const write = async () => {
    const { objects, commits } = commitsOf(target.repository, taken, head)
    packs.push(await target.packs.write(objects))
    head = commits.at(-1) ?? head
    count += taken.length
    taken = []
  }
  try {
    for await (const event of events) {
      taken.push(admitCopy(space, event))
      if (taken.length === packEventsMax) await write()
    }
    if (taken.length > 0) await write()
    if (head === null || head === from) return 0
    const outcome = await target.leases.change(space.name, target.lease, [{ ref: space.ref, from, to: head }])
    if (outcome.kind === 'committed') return count
    if (outcome.kind === 'locked') throw new MeshError('space_busy', { detail: `${outcome.lockPath} is there.` })
    throw new MeshError('import_conflict', { detail: `Something was decided in ${space.name} during the import.` })
  } finally {
    for (const pack of packs) await pack.release()
  }
}

/** Checks an event where it stands, and takes a copy that its owner cannot change any more. */
function admitCopy({ line }: GitSpace, event: DecisionEvent): DecisionEvent {
  const copy = decodeEvent(encodeEvent(event))
  line.admit(copy)
  return copy
}
