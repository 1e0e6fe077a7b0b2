/**
 * What can still be read of a damaged repository of decisions, as a sound one (03 §5).
 *
 * 1. The damaged one is only read, and not believed: a decision is an object that has the form of one, if the commit that follows from
 *    it and from the one before is known by its id. Whoever changes a letter of it changes that.
 * 2. A space goes as far as its decisions follow each other without a gap, and no further than this host is known to have seen:
 *    what was proposed and not accepted is none. Equal decisions are equal commits, so that it goes on where others know it.
 * 3. What stands behind a gap is in no log any more, and is given to the caller.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { type DecisionEvent, decodeEvent, encodeEvent, isSpaceName } from '../event.ts'
import { eventCommitId } from './event-commit.ts'
import { examineRepository } from './examine.ts'
import { git, runGit } from './git-command.ts'
import { GitDecisionLog } from './git-decision-log.ts'
import type { ObjectFormat } from './git-object.ts'
import { HighWaterMarks } from './high-water-mark.ts'
import { type FoundObject, ObjectReader } from './object-reader.ts'
import { openRepository, type Repository, spaceRefPrefix } from './repository.ts'

/** What became of one space. */
export interface SalvagedSpace {
  readonly space: string
  /** How many decisions are in the new log. */
  readonly seq: number
  /** Decisions that could be read, and follow no other that could. */
  readonly apart: readonly DecisionEvent[]
  /** Whether this host had seen more than there is now. */
  readonly isCut: boolean
}

/** Objects that are read at once. */
const readObjectsMax = 512

/** What is wrong with a repository, a sentence each. Nothing is written. @throws MeshError `git_missing` */
export async function findRepositoryFaults(path: string): Promise<readonly string[]> {
  const repository: Repository = { directory: path, format: formatOf(path) }
  const faults = [...(await examineRepository(repository))]
  const marks = new HighWaterMarks(repository)
  for (const space of namesIn(join(path, 'claudemesh', 'seen'))) {
    const mark = marks.read(space)
    if (mark === null) continue
    const branch = `${spaceRefPrefix}${space}`
    const { code } = await runGit(path, ['merge-base', '--is-ancestor', mark.commit, branch])
    if (code !== 0) faults.push(`${branch} does not lead to decision ${mark.seq}, which was seen (${mark.commit})`)
  }
  return faults
}

/**
 * Makes a repository of what can be read of another one.
 *
 * @param o `to`: where there is nothing yet, or what an earlier attempt has left
 * @throws MeshError `git_missing`, `insufficient_storage`, `storage_failed`
 */
export async function salvageRepository(o: { from: string; to: string }): Promise<readonly SalvagedSpace[]> {
  const objects = `${o.to}.objects`
  for (const path of [o.to, objects]) rmSync(path, { recursive: true, force: true })
  const format = formatOf(o.from)
  const { decisions: found, ids } = await readObjects(o.from, { objects, format })
  const log = await GitDecisionLog.open({ path: o.to, objectFormat: format })
  try {
    const salvaged: SalvagedSpace[] = []
    for (const [space, events] of [...found].sort(([left], [right]) => (left < right ? -1 : 1))) {
      const seen = await lastSeen({ from: o.from, objects, format }, space)
      const line = followLine(events, { format, ids, seen })
      await log.importEvents(space, each(line))
      const apart = events.filter(({ seq }) => seq > line.length && (seen === null || seq <= seen.seq))
      salvaged.push({ space, seq: line.length, apart, isCut: line.length < (seen?.seq ?? 0) })
    }
    for (const space of namesIn(join(o.from, 'refs', 'claudemesh', 'leases'))) {
      if (found.has(space) || !isSpaceName(space)) continue
      // A space that was made, and in which nothing is decided yet.
      await log.leases.release(await log.leases.acquire(space, { holder: 'recover', socket: null, termMs: 1 }))
      salvaged.push({ space, seq: 0, apart: [], isCut: false })
    }
    return salvaged
  } finally {
    await log.close()
    rmSync(objects, { recursive: true, force: true })
  }
}

/** What stands in a damaged repository. */
interface Readable {
  /** By their spaces, in the order of their numbers. */
  readonly decisions: ReadonlyMap<string, readonly DecisionEvent[]>
  /** Of all objects that are or were there, as far as anything names them. */
  readonly ids: ReadonlySet<string>
}

/** The end of a space, and the commits that lead there as far as they can be read. */
interface Seen {
  readonly seq: number
  /** Where its branch is, or was. */
  readonly head: string
  readonly commits: ReadonlySet<string>
}

/** By its branch, or else by what this host has seen of it; null when neither can be read. */
async function lastSeen(
  { from, objects, format }: { readonly from: string; readonly objects: string; readonly format: ObjectFormat },
  space: string,
): Promise<Seen | null> {
  const mark = new HighWaterMarks({ directory: from, format }).read(space)
  const head = readRef(from, `${spaceRefPrefix}${space}`) ?? mark?.commit ?? null
  if (head === null) return null
  const { stdout } = await runGit(objects, ['rev-list', '--first-parent', head])
  const commits = stdout
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '')
  const { code, stdout: said } = await runGit(objects, ['log', '-1', '--format=%(trailers:key=Seq,valueonly)', head])
  const seq = code === 0 ? Number(said.toString('latin1')) : (mark?.seq ?? 0)
  return seq > 0 ? { seq: Math.max(seq, mark?.seq ?? 0), head, commits: new Set(commits) } : null
}

/** As it is written in a file of its own or in `packed-refs`: git itself may refuse the repository. */
function readRef(repository: string, ref: string): string | null {
  const idPattern = /^([0-9a-f]{40}|[0-9a-f]{64})$/
  const own = readText(join(repository, ref))?.trim() ?? ''
  if (idPattern.test(own)) return own
  const packed = readText(join(repository, 'packed-refs')) ?? ''
  const [id = ''] =
    packed
      .split('\n')
      .find((line) => line.endsWith(` ${ref}`))
      ?.split(' ') ?? []
  return idPattern.test(id) ? id : null
}

/** From the first decision on, each whose commit is known. Of several in one place it is the one that leads to what was seen. */
function followLine(
  events: readonly DecisionEvent[],
  { format, ids, seen }: { readonly format: ObjectFormat; readonly ids: Readable['ids']; readonly seen: Seen | null },
): readonly DecisionEvent[] {
  const bySeq = new Map<number, DecisionEvent[]>()
  for (const event of events) bySeq.set(event.seq, [...(bySeq.get(event.seq) ?? []), event])
  const line: DecisionEvent[] = []
  let parent: string | null = null
  while (seen === null || line.length < seen.seq) {
    const next = (bySeq.get(line.length + 1) ?? [])
      .map((event) => {
        return { event, commit: eventCommitId(event, encodeEvent(event).toString('utf8'), { format, parent }) }
      })
      .filter(({ commit }) => ids.has(commit) || commit === seen?.head)
    const [chosen] = next.length === 1 ? next : next.filter(({ commit }) => seen?.commits.has(commit) === true)
    if (chosen === undefined) return line
    line.push(chosen.event)
    parent = chosen.commit
  }
  return line
}

async function readObjects(
  from: string,
  o: { readonly objects: string; readonly format: ObjectFormat },
): Promise<Readable> {
  const repository = await openRepository(o.objects, o.format)
  const { directory } = repository
  writeFileSync(join(directory, 'objects', 'info', 'alternates'), `${join(from, 'objects')}\n`)
  await unpackDamaged(join(from, 'objects', 'pack'), directory)
  const listed = await git(directory, ['cat-file', '--batch-check=%(objectname)', '--batch-all-objects'])
  const names = [...new Set(listed.split('\n'))].filter((name) => name !== '')
  const reader = new ObjectReader(repository)
  const ids = new Set(names)
  const decisions = new Map<string, DecisionEvent[]>()
  try {
    for (let start = 0; start < names.length; start += readObjectsMax) {
      for (const found of await readEach(reader, names.slice(start, start + readObjectsMax))) {
        const [, parent = null] =
          found?.type === 'commit' ? (/^parent (\w+)$/m.exec(found.body.toString('latin1')) ?? []) : []
        if (parent !== null) ids.add(parent)
        const event = found?.type === 'blob' ? decodeOrNull(found.body) : null
        if (event === null) continue
        const known = decisions.get(event.space)
        if (known === undefined) decisions.set(event.space, [event])
        else known.push(event)
      }
    }
  } finally {
    reader.close()
  }
  for (const events of decisions.values()) events.sort((left, right) => left.seq - right.seq)
  return { decisions, ids }
}

/** Git gives up on the first object that it cannot read: then each is asked for alone. */
async function readEach(reader: ObjectReader, names: readonly string[]): Promise<readonly (FoundObject | null)[]> {
  const all = await reader.contents(names).catch(unlessUnreadable)
  if (all !== null) return all
  const found: (FoundObject | null)[] = []
  for (const name of names) found.push(...((await reader.contents([name]).catch(unlessUnreadable)) ?? [null]))
  return found
}

/** A pack that is damaged, or whose index is, is taken apart as far as that goes. */
async function unpackDamaged(packs: string, into: string): Promise<void> {
  const paths = namesIn(packs).flatMap((name) => (name.endsWith('.pack') ? [join(packs, name)] : []))
  const isSound = async (...some: readonly string[]) => {
    return (await runGit(into, ['verify-pack', ...some.map((path) => path.replace(/\.pack$/, '.idx'))])).code === 0
  }
  if (paths.length === 0 || (await isSound(...paths))) return
  for (const path of paths) {
    if (!(await isSound(path))) await runGit(into, ['unpack-objects', '-r', '-q'], { input: readFileSync(path) })
  }
}

function decodeOrNull(bytes: Buffer): DecisionEvent | null {
  try {
    return decodeEvent(bytes)
  } catch (error) {
    if (error instanceof MeshError) return null
    throw error
  }
}

function unlessUnreadable(error: unknown): null {
  if (error instanceof MeshError && error.code === 'storage_failed') return null
  throw error
}

function formatOf(path: string): ObjectFormat {
  return /objectformat\s*=\s*sha256/i.test(readText(join(path, 'config')) ?? '') ? 'sha256' : 'sha1'
}

function namesIn(directory: string): readonly string[] {
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(directory) : []
}

function readText(path: string): string | null {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(path, 'latin1') : null
}

async function* each(events: readonly DecisionEvent[]): AsyncGenerator<DecisionEvent> {
  yield* events
}
