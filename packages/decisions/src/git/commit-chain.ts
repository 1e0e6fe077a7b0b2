/**
 * Reads the commits of a space and checks each of them (07 §3): it is made again from the event in it and the commit before
 * it, and must come out as the same object. So parent, number, message, tree and bytes are all as they were written.
 */
import { MeshError } from '@claudemesh/protocol'
import { type DecisionEvent, decodeEvent } from '../event.ts'
import { eventFileName, makeEventCommit } from './event-commit.ts'
import { gitFailure, runGit } from './git-command.ts'
import type { ObjectReader } from './object-reader.ts'
import type { Repository } from './repository.ts'

/** Commits that follow each other, the oldest first. */
export interface CommitList {
  /** The commit before the first one; null when that is the first of its space. */
  readonly parent: string | null
  readonly ids: readonly string[]
}

/** An event and the commit that it is in, which is what it must be. */
export interface CheckedEvent {
  readonly event: DecisionEvent
  readonly commit: string
}

/** Events that are read at once. */
const readEventsMax = 256

/**
 * Lists the commits that lead to one, without those that lead to another.
 *
 * @throws MeshError `log_corrupt` with the commit that cannot be read: what is before it cannot be found from here
 */
export async function listCommits(
  repository: Repository,
  o: { readonly space: string; readonly head: string; readonly without: string | null },
): Promise<CommitList> {
  const range = o.without === null ? [o.head] : [o.head, `^${o.without}`]
  const { code, stdout, stderr } = await runGit(repository.directory, [
    ...['rev-list', '--first-parent', '--parents'],
    ...range,
    '--',
  ])
  const lines = stdout.toString('latin1').trimEnd().split('\n')
  const [, parent = null] = (lines.at(-1) ?? '').split(' ')
  if (code !== 0) {
    if (!/parse commit|bad object|could not read|unable to read|corrupt|missing/i.test(stderr))
      throw gitFailure('git rev-list', stderr)
    throw corrupt({ space: o.space, commit: parent ?? o.head, why: stderr.trim() })
  }
  return {
    parent,
    ids: lines
      .filter((line) => line !== '')
      .map((line) => line.split(' ', 1)[0] ?? '')
      .reverse(),
  }
}

/**
 * Reads the events of commits, in order, and checks each as it comes.
 *
 * @param o `seq`: the number of the first one
 * @throws MeshError `log_corrupt` with the first commit that is not what it must be, after everything before it
 */
export async function* readEvents(
  { repository, reader }: { readonly repository: Repository; readonly reader: ObjectReader },
  o: { readonly space: string; readonly seq: number; readonly commits: CommitList },
): AsyncGenerator<readonly CheckedEvent[]> {
  const { ids } = o.commits
  let parent = o.commits.parent
  for (let start = 0; start < ids.length; start += readEventsMax) {
    const part = ids.slice(start, start + readEventsMax)
    const bodies = await readBodies(reader, part)
    const checked: CheckedEvent[] = []
    for (const [index, commit] of part.entries()) {
      const place = { space: o.space, seq: o.seq + start + index, commit, parent }
      const event = checkCommit(repository, place, bodies[index] ?? null)
      if (event instanceof MeshError) {
        yield checked
        throw event
      }
      checked.push({ event, commit })
      parent = commit
    }
    yield checked
  }
}

/** The contents of the event in each commit; null where there is none, or it cannot be read. */
async function readBodies(reader: ObjectReader, commits: readonly string[]): Promise<readonly (Buffer | null)[]> {
  const names = commits.map((commit) => `${commit}:${eventFileName}`)
  try {
    return (await reader.contents(names)).map((found) => (found?.type === 'blob' ? found.body : null))
  } catch (error) {
    // Git gives up on the first damaged object without saying which of them it was.
    if (!(error instanceof MeshError)) throw error
    if (names.length === 1) return [null]
    const bodies: (Buffer | null)[] = []
    for (const commit of commits) bodies.push(...(await readBodies(reader, [commit])))
    return bodies
  }
}

interface CommitPlace {
  readonly space: string
  readonly seq: number
  readonly commit: string
  readonly parent: string | null
}

function checkCommit({ format }: Repository, place: CommitPlace, body: Buffer | null): DecisionEvent | MeshError {
  const { space, seq, commit } = place
  if (body === null) return corrupt({ space, seq, commit, why: `there is no ${eventFileName} that can be read` })
  let event: DecisionEvent
  try {
    event = decodeEvent(body)
  } catch (cause) {
    return corrupt({ space, seq, commit, why: `it holds no decision: ${cause}`, cause })
  }
  if (event.space !== space || event.seq !== seq) {
    return corrupt({ space, seq, commit, why: `it holds decision ${event.seq} of ${event.space}` })
  }
  const parent = place.parent === null ? null : Buffer.from(place.parent, 'hex')
  const made = makeEventCommit(event, body, { format, parent })
  if (made.commit.id.toString('hex') === commit) return event
  return corrupt({ space, seq, commit, why: `it is not the commit of its decision after ${place.parent ?? 'none'}` })
}

/** The error of a log that is not what was written. `seq` and `commit` are of the first event that is lost. */
export function corrupt(o: {
  readonly space: string
  readonly seq?: number
  readonly commit: string
  readonly why: string
  readonly cause?: unknown
}): MeshError {
  const { space, seq, commit, why, cause } = o
  return new MeshError('log_corrupt', {
    detail: `The log of ${space} is damaged at commit ${commit}${seq === undefined ? '' : ` (decision ${seq})`}: ${why}.`,
    data: { space, commit, ...(seq === undefined ? {} : { seq }) },
    hint: 'What is before it can be read. Fetch the missing objects from a clone or a backup.',
    ...(cause === undefined ? {} : { cause }),
  })
}
