/**
 * Reads the commits of a space and checks each of them (07 §3): its id is worked out from the event in it and the commit
 * before it, and must come out the same. So parent, number, message, tree and bytes are all as they were written.
 */
import { MeshError } from '@claudemesh/protocol'
import { type DecisionEvent, decodeEvent } from '../event.ts'
import type { SpaceLine } from '../space-line.ts'
import { eventCommitId, eventFileName } from './event-commit.ts'
import { gitFailure, runGit } from './git-command.ts'
import type { FoundObject, ObjectReader } from './object-reader.ts'
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

/** Events that are asked for at once, and how many such parts git looks for while one is checked. */
const readEventsMax = 128
const partsAhead = 4

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
  const partAt = (start: number) => ids.slice(start, start + readEventsMax)
  const ahead: ReturnType<typeof ask>[] = []
  for (let start = 0; start < ids.length; start += readEventsMax) {
    while (ahead.length <= partsAhead) ahead.push(ask(reader, partAt(start + ahead.length * readEventsMax)))
    const part = partAt(start)
    const found = (await ahead.shift()) ?? (await askSingly(reader, part))
    const checked: CheckedEvent[] = []
    for (const [index, commit] of part.entries()) {
      const place = { space: o.space, seq: o.seq + start + index, commit, parent }
      const event = checkCommit(repository, place, found[index] ?? null)
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

/** Has a line take an event that was read. @throws MeshError `log_corrupt`: it does not follow the one before */
export function admitRead(line: SpaceLine, event: DecisionEvent, commit: string): void {
  try {
    line.admit(event)
  } catch (cause) {
    if (!(cause instanceof MeshError)) throw cause
    const { space, seq } = event
    throw corrupt({ space, seq, commit, why: `it does not follow the one before: ${cause}`, cause })
  }
}

/** The event file in each commit, null where there is none; or null when git gave up on one of them. */
function ask(reader: ObjectReader, commits: readonly string[]): Promise<readonly (FoundObject | null)[] | null> {
  const asked = reader.contents(commits.map((commit) => `${commit}:${eventFileName}`)).catch((error: unknown) => {
    if (error instanceof MeshError) return null
    throw error
  })
  // Whoever asked ahead may have stopped before this fails.
  asked.catch(() => undefined)
  return asked
}

/** Git gives up on the first damaged object without saying which of them it was: each is asked for alone. */
async function askSingly(reader: ObjectReader, commits: readonly string[]): Promise<readonly (FoundObject | null)[]> {
  const found: (FoundObject | null)[] = []
  for (const commit of commits) found.push(...((await ask(reader, [commit])) ?? [null]))
  return found
}

interface CommitPlace {
  readonly space: string
  readonly seq: number
  readonly commit: string
  readonly parent: string | null
}

function checkCommit({ format }: Repository, place: CommitPlace, found: FoundObject | null): DecisionEvent | MeshError {
  const { space, seq, commit } = place
  if (found?.type !== 'blob')
    return corrupt({ space, seq, commit, why: `there is no ${eventFileName} that can be read` })
  let event: DecisionEvent
  try {
    event = decodeEvent(found.body)
  } catch (cause) {
    return corrupt({ space, seq, commit, why: `it holds no decision: ${cause}`, cause })
  }
  if (event.space !== space || event.seq !== seq) {
    return corrupt({ space, seq, commit, why: `it holds decision ${event.seq} of ${event.space}` })
  }
  // It was decoded, so it is well-formed: the text has all of its bytes.
  if (eventCommitId(event, found.body.toString('utf8'), { format, parent: place.parent }) === commit) return event
  return corrupt({ space, seq, commit, why: `it is not the commit of its decision after ${place.parent ?? 'none'}` })
}

/** The error of a log that is not what was written. `seq` and `commit` are of the first event that is lost. */
function corrupt(o: {
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
