/**
 * What was known of each space when it was read, so that nobody reads a log from its start to append to it or to say what holds
 * (07 §2, §5).
 *
 * 1. Worth nothing by itself: whatever is missing, damaged, older than the code or of another branch is read from the log.
 * 2. Kept by number and commit. Whoever uses it looks whether the branch leads to that commit: then everything before it is
 *    what was read, since a commit names all that is before it.
 * 3. Segments grow as in `git repack --geometric`: a new one takes those before it along that are not much larger, so that each event
 *    is written a few times, and a long log is a few files.
 * 4. Any number of processes may write and remove at once: a file is there whole or not at all.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError, type SpaceState } from '@claudemesh/protocol'
import { crashPoint, writeFileAtomic } from '@claudemesh/storage'
import { decodeSnapshot, encodeSnapshot } from '../../snapshot.ts'
import type { KnownLine } from '../../space-line.ts'
import type { Repository } from '../repository.ts'
import { KnownPrefix } from './known-prefix.ts'
import { encodeSegment, joinParts, type KnownEvent, partsOf, removeLost, Segment, SnapshotLost } from './segment.ts'

/** Events after which what is known is written anew. */
export const snapshotEvery = 1_024
/** A segment that has at most so many times the events of what is added to it becomes one with that. */
const growthMax = 2

const stateName = 'state'

export class Snapshots {
  readonly #directory: string

  constructor(repository: Repository) {
    this.#directory = join(repository.directory, 'claudemesh', 'snapshots')
  }

  /** What is known of the beginning of a space; null when nothing is. */
  read(space: string): KnownPrefix | null {
    const segments: Segment[] = []
    const found = this.#list(space)
    for (let next = 1; ; ) {
      const [longest] = found.filter(({ from }) => from === next).sort((left, right) => right.to - left.to)
      if (longest === undefined) break
      const segment = openOrRemove(longest.path)
      if (segment === null || segment.head.space !== space || segment.head.to !== longest.to) break
      segments.push(segment)
      next = longest.to + 1
    }
    return segments.length === 0 ? null : new KnownPrefix(segments)
  }

  /**
   * Keeps what is known of events that follow what is known already.
   *
   * @param o `before`: as `read` gave it; `line`: after the last of the events
   */
  extend(
    space: string,
    { before, events, line }: { before: KnownPrefix | null; events: readonly KnownEvent[]; line: KnownLine },
  ): void {
    const last = events.at(-1)
    if (last === undefined) return
    const kept = [...(before?.segments ?? [])]
    let from = (before?.seq ?? 0) + 1
    const to = from + events.length - 1
    try {
      let parts = partsOf(events, from)
      for (let { head } = kept.at(-1) ?? {}; head !== undefined; head = kept.at(-1)?.head) {
        if (head.to - head.from + 1 > growthMax * (to - from + 1)) break
        parts = joinParts((kept.pop() as Segment).parts(), parts)
        from = head.from
      }
      const path = this.#path(space, `${from}-${to}`)
      mkdirSync(this.#path(space), { recursive: true, mode: 0o700 })
      writeFileAtomic(path, encodeSegment({ space, from, to, commit: last.commit, line }, parts), { mode: 0o600 })
      crashPoint('decisions.snapshot.written')
      this.#removeCovered(space, { from, to })
    } catch (error) {
      // A full disk, one that cannot be written, or a segment that somebody else has removed: the log has it all.
      if (!(error instanceof SnapshotLost) && !(error instanceof MeshError) && !isOfDisk(error)) throw error
    }
  }

  /** A state and the commit, hexadecimal, of the last event in it; null when there is none that can be used. */
  readState(space: string): { readonly commit: string; readonly state: SpaceState } | null {
    let bytes: Buffer
    try {
      bytes = readFileSync(this.#path(space, stateName))
    } catch (error) {
      if (isOfDisk(error)) return null
      throw error
    }
    const head = bytes.toString('latin1', 0, bytes.indexOf('\n'))
    const [, digest, commit] = /^([0-9a-f]{64}) ([0-9a-f]{40,64})$/.exec(head) ?? []
    const body = bytes.subarray(head.length + 1)
    if (commit === undefined || digestOf(commit, body) !== digest) return null
    const state = decodeSnapshot(body)
    return state === null ? null : { commit, state }
  }

  writeState(space: string, { commit, state }: { readonly commit: string; readonly state: SpaceState }): void {
    const body = encodeSnapshot(state)
    try {
      mkdirSync(this.#path(space), { recursive: true, mode: 0o700 })
      const head = Buffer.from(`${digestOf(commit, body)} ${commit}\n`)
      writeFileAtomic(this.#path(space, stateName), Buffer.concat([head, body]), { mode: 0o600 })
    } catch (error) {
      // As above.
      if (!(error instanceof MeshError) && !isOfDisk(error)) throw error
    }
  }

  /** Forgets all that is known of a space. */
  remove(space: string): void {
    rmSync(this.#path(space), { recursive: true, force: true })
  }

  #list(space: string): readonly { readonly path: string; readonly from: number; readonly to: number }[] {
    let names: readonly string[]
    try {
      names = readdirSync(this.#path(space))
    } catch (error) {
      if (isOfDisk(error)) return []
      throw error
    }
    return names.flatMap((name) => {
      const [, from, to] = /^(\d+)-(\d+)$/.exec(name) ?? []
      return to === undefined ? [] : [{ path: this.#path(space, name), from: Number(from), to: Number(to) }]
    })
  }

  #removeCovered(space: string, { from, to }: { readonly from: number; readonly to: number }): void {
    for (const segment of this.#list(space)) {
      const isCovered = segment.from >= from && segment.to <= to && segment.to - segment.from < to - from
      if (isCovered) rmSync(segment.path, { force: true })
    }
  }

  #path(space: string, name = ''): string {
    return join(this.#directory, space, name)
  }
}

function openOrRemove(path: string): Segment | null {
  try {
    return Segment.open(path)
  } catch (error) {
    if (!(error instanceof SnapshotLost)) throw error
    removeLost(path)
    return null
  }
}

function digestOf(commit: string, body: Buffer): string {
  return createHash('sha256').update(`${commit}\n`).update(body).digest('hex')
}

/** An error of the system, and none of this program. */
function isOfDisk(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}
