/**
 * What is left of what was on its way when the power went.
 *
 * | mode   | files                                                                     | names                       |
 * |--------|---------------------------------------------------------------------------|-----------------------------|
 * | drop   | all of it is lost                                                         | all of it is lost           |
 * | torn   | a number of the pending writes of a file, oldest first, and a part of the | a number, oldest first      |
 * |        | next one up to a boundary of a sector                                     |                             |
 * | subset | each page as it was at some moment since the last fsync, the size as well | any, with the earlier ones  |
 * |        |                                                                           | of the same names           |
 * | keep   | nothing is lost: what `kill -9` leaves                                    | nothing is lost             |
 */
import type { Content, DataChange, DataWrite } from './content.ts'
import { applyNames, type DiskModel, type Inode, type NameChange } from './disk-model.ts'

export type CutMode = 'drop' | 'torn' | 'subset' | 'keep'

/** Whole numbers from 0 up to, not including, the bound. */
export type RandomBelow = (bound: number) => number

const sectorBytes = 512
const pageBytes = 4096

/** Directory to name to inode after the cut. The model is not changed. */
export function namesAfter(model: DiskModel, mode: CutMode, random: RandomBelow): Map<number, Map<string, number>> {
  const tree = new Map([...model.tree].map(([directory, names]) => [directory, new Map(names)]))
  const kept = keptNames(model, mode, random)
  applyNames(
    tree,
    model.pendingNames.filter((change) => kept.has(change)),
  )
  return tree
}

function keptNames(model: DiskModel, mode: CutMode, random: RandomBelow): ReadonlySet<NameChange> {
  const { pendingNames } = model
  switch (mode) {
    case 'drop':
      return new Set()
    case 'keep':
      return new Set(pendingNames)
    case 'torn':
      return new Set(pendingNames.slice(0, random(pendingNames.length + 1)))
    case 'subset':
      return model.withEarlier(new Set(pendingNames.filter(() => random(2) === 0)))
    default:
      return mode satisfies never
  }
}

/** The bytes of a file after the cut. The model is not changed. */
export function contentAfter(inode: Inode, mode: CutMode, random: RandomBelow): Buffer {
  if (inode.pending.length === 0 || mode === 'drop') return inode.content.bytes
  const content = inode.content.clone()
  switch (mode) {
    case 'keep':
      for (const change of inode.pending) content.apply(change)
      break
    case 'torn':
      tear(content, inode.pending, random)
      break
    case 'subset':
      mix(content, inode.pending, random)
      break
    default:
      mode satisfies never
  }
  return content.bytes
}

function tear(content: Content, pending: readonly DataChange[], random: RandomBelow): void {
  const whole = random(pending.length + 1)
  for (const change of pending.slice(0, whole)) content.apply(change)
  const next = pending[whole]
  if (next?.kind !== 'write') return
  const first = Math.floor(next.start / sectorBytes) + 1
  const last = Math.ceil(next.end / sectorBytes)
  if (last <= first) return
  const cut = (first + random(last - first)) * sectorBytes
  content.put(next.data.subarray(0, cut - next.start), next.start)
}

function mix(content: Content, pending: readonly DataChange[], random: RandomBelow): void {
  const lastKept = chooseLastWrites(pending, random)
  const sizeAfter = random(pending.length + 1)
  let size = content.size
  for (const [index, change] of pending.entries()) {
    if (change.kind === 'write') {
      for (const page of pagesOf(change)) {
        if (index <= (lastKept.get(page) ?? -1)) putPage(content, change, page)
      }
      if (index < sizeAfter) size = Math.max(size, change.end)
    } else if (index < sizeAfter) {
      const before = content.size
      content.apply(change)
      if (change.kind === 'size') size = change.size
      else content.resize(before)
    }
  }
  content.resize(size)
}

/** For each page that was written, the last of its writes that reached the disk; -1 for none. */
function chooseLastWrites(pending: readonly DataChange[], random: RandomBelow): ReadonlyMap<number, number> {
  const writes = new Map<number, number[]>()
  for (const [index, change] of pending.entries()) {
    if (change.kind !== 'write') continue
    for (const page of pagesOf(change)) writes.set(page, [...(writes.get(page) ?? []), index])
  }
  const lastKept = new Map<number, number>()
  for (const [page, indexes] of writes) lastKept.set(page, indexes[random(indexes.length + 1) - 1] ?? -1)
  return lastKept
}

function* pagesOf({ start, end }: DataWrite): Iterable<number> {
  for (let page = Math.floor(start / pageBytes); page * pageBytes < end; page += 1) yield page
}

function putPage(content: Content, { start, end, data }: DataWrite, page: number): void {
  const from = Math.max(start, page * pageBytes)
  const to = Math.min(end, (page + 1) * pageBytes)
  content.put(data.subarray(from - start, to - start), from)
}
