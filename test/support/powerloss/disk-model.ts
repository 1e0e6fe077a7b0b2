/**
 * What a disk holds for certain while a trace is played, and what is still on its way to it.
 *
 * 1. Bytes of a file are durable after an fsync or fdatasync of that file, or at once through O_SYNC.
 * 2. A name is durable after an fsync of its directory; one that moved between two directories, after an fsync of either.
 * 3. A failed fsync drops what was on its way for good, as Linux does: a later one that succeeds does not bring it back.
 */
import { Content, type DataChange } from './content.ts'
import type { TraceRecord } from './records.ts'

export const rootInode = 1
const formatBits = 0o170000
const regularFile = 0o100000
const renameExchange = 2

export interface Inode {
  readonly id: number
  readonly kind: 'file' | 'directory' | 'link' | 'other'
  mode: number
  /** Of a symbolic link. */
  readonly target: string
  readonly content: Content
  pending: DataChange[]
}

/** A place for a name, and what stands there from now on: null for nothing. */
export interface Slot {
  readonly directory: number
  readonly name: string
  readonly inode: number | null
}

/** A change of names that happens whole or not at all. */
export interface NameChange {
  readonly seq: number
  readonly slots: readonly Slot[]
}

export class DiskModel {
  readonly inodes = new Map<number, Inode>()
  /** What is durable: directory to name to inode. */
  readonly tree = new Map<number, Map<string, number>>()
  /** Oldest first. */
  pendingNames: NameChange[] = []

  constructor(base: readonly TraceRecord[], rootMode: number) {
    this.#add(rootInode, 'directory', { mode: rootMode, target: '' })
    for (const record of base) this.apply(record)
    for (const inode of this.inodes.values()) flush(inode)
    this.#commit(this.pendingNames)
  }

  apply(record: TraceRecord): void {
    const { op, inode: directory, b: inode, name } = record
    switch (op) {
      case 'create':
      case 'mkdir':
      case 'symlink':
        this.#add(inode, kindOf(record), { mode: record.mode, target: record.otherName })
        this.#change(record, [{ directory, name, inode }])
        break
      case 'link':
        this.#change(record, [{ directory, name, inode }])
        break
      case 'unlink':
      case 'rmdir':
        this.#change(record, [{ directory, name, inode: null }])
        break
      case 'rename':
        this.#rename(record)
        break
      default:
        this.#applyToFile(record)
    }
  }

  /** These changes, and every earlier one of the same names. */
  withEarlier(chosen: ReadonlySet<NameChange>): ReadonlySet<NameChange> {
    const places = new Set<string>()
    const kept = new Set<NameChange>()
    for (const change of [...this.pendingNames].reverse()) {
      const own = change.slots.map(placeOf)
      if (!chosen.has(change) && !own.some((place) => places.has(place))) continue
      kept.add(change)
      for (const place of own) places.add(place)
    }
    return kept
  }

  #add(id: number, kind: Inode['kind'], { mode, target }: { readonly mode: number; readonly target: string }): void {
    this.inodes.set(id, { id, kind, mode, target, content: new Content(), pending: [] })
    if (kind === 'directory') this.tree.set(id, new Map())
  }

  #change({ seq }: TraceRecord, slots: readonly Slot[]): void {
    this.pendingNames.push({ seq, slots })
  }

  #rename(record: TraceRecord): void {
    const from = { directory: record.inode, name: record.name }
    const to = { directory: record.a, name: record.otherName }
    const takesItsPlace = (record.mode & renameExchange) === 0 ? null : this.#standsAt(to.directory, to.name)
    this.#change(record, [
      { ...from, inode: takesItsPlace },
      { ...to, inode: record.b },
    ])
  }

  #applyToFile(record: TraceRecord): void {
    const inode = this.inodes.get(record.inode)
    if (inode === undefined) return
    const { op, seq, a: start } = record
    switch (op) {
      case 'write':
        inode.pending.push({ kind: 'write', seq, start, end: start + record.data.length, data: record.data })
        if (record.writeThrough) flush(inode)
        break
      case 'size':
        inode.pending.push({ kind: 'size', seq, size: start })
        break
      case 'zero':
        inode.pending.push({ kind: 'zero', seq, start, bytes: record.b })
        break
      case 'chmod':
        inode.mode = (inode.mode & formatBits) | (record.mode & ~formatBits)
        break
      case 'fsync':
        if (record.errno === 0) flush(inode)
        else inode.pending = []
        break
      case 'fsyncdir':
        if (record.errno === 0) this.#syncDirectory(inode.id)
        break
      default:
      // A fault is what did not happen.
    }
  }

  #syncDirectory(directory: number): void {
    const chosen = this.pendingNames.filter(({ slots }) => slots.some((slot) => slot.directory === directory))
    const kept = this.withEarlier(new Set(chosen))
    this.#commit(this.pendingNames.filter((change) => kept.has(change)))
  }

  #commit(changes: readonly NameChange[]): void {
    applyNames(this.tree, changes)
    const durable = new Set(changes)
    this.pendingNames = this.pendingNames.filter((change) => !durable.has(change))
  }

  /** What a name stands for at this moment, durable or not. */
  #standsAt(directory: number, name: string): number | null {
    for (const { slots } of [...this.pendingNames].reverse()) {
      const slot = slots.find((candidate) => candidate.directory === directory && candidate.name === name)
      if (slot !== undefined) return slot.inode
    }
    return this.tree.get(directory)?.get(name) ?? null
  }
}

/** Changes names in a tree. */
export function applyNames(tree: Map<number, Map<string, number>>, changes: Iterable<NameChange>): void {
  for (const { slots } of changes) {
    for (const { directory, name, inode } of slots) {
      if (inode === null) tree.get(directory)?.delete(name)
      else tree.get(directory)?.set(name, inode)
    }
  }
}

function flush(inode: Inode): void {
  for (const change of inode.pending) inode.content.apply(change)
  inode.pending = []
}

function kindOf({ op, mode }: TraceRecord): Inode['kind'] {
  if (op === 'mkdir') return 'directory'
  if (op === 'symlink') return 'link'
  return (mode & formatBits) === regularFile ? 'file' : 'other'
}

function placeOf({ directory, name }: Slot): string {
  return `${directory}/${name}`
}
