/**
 * The counter of a history: every seq is given once (08 §1).
 *
 * 1. A seq is reserved, by a file that is on the disk, before it is given. After a crash counting goes on behind everything
 *    that was reserved, whether its rows are there or not.
 * 2. The mark stands outside of the generations: pruning, compaction and an empty partition do not touch it.
 * 3. Where rows may have been given seqs that this mark does not know (it is missing, damaged, older than the rows, or comes
 *    from a backup) counting jumps ahead, and the jump is noted in it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { crashPoint, toStorageError, writeFileAtomic } from '@claudemesh/storage'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { seqsReserved, seqsSkipped } from './limits.ts'

const seqSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const jumpSchema = Type.Object({
  at: Type.Integer(),
  from: seqSchema,
  to: seqSchema,
  reason: Type.Union([
    Type.Literal('restored'),
    Type.Literal('mark_missing'),
    Type.Literal('mark_damaged'),
    Type.Literal('mark_behind'),
    Type.Literal('sink_ahead'),
  ]),
})
const markSchema = Type.Object({ v: Type.Literal(1), reserved: seqSchema, jumps: Type.Array(jumpSchema) })
const check = Compile(markSchema)

/** A place where seqs were passed over, and why. */
export type SeqJump = Static<typeof jumpSchema>
type Mark = Static<typeof markSchema>

export class Seqs {
  readonly #path: string
  readonly #now: () => number
  #mark: Mark
  #last: number

  /**
   * @param o.newest the greatest seq that any row has had, 0 when there never was one
   * @throws MeshError `insufficient_storage`, `storage_failed`
   */
  static open(o: { path: string; newest: number; now: () => number }): Seqs {
    const found = readMark(o.path)
    const mark = typeof found === 'string' ? { v: 1 as const, reserved: 0, jumps: [] } : found
    const seqs = new Seqs({ path: o.path, now: o.now, mark })
    if (found === 'mark_damaged' || (found === 'mark_missing' && o.newest > 0)) seqs.jump(o.newest, found)
    else if (o.newest > mark.reserved) seqs.jump(o.newest, 'mark_behind')
    return seqs
  }

  private constructor(o: { path: string; now: () => number; mark: Mark }) {
    this.#path = o.path
    this.#now = o.now
    this.#mark = o.mark
    this.#last = o.mark.reserved
  }

  /** The seq for the next row. It is given with `took`, and goes to nobody else even when that row is not stored. */
  next(): number {
    const seq = this.#last + 1
    if (seq > this.#mark.reserved) this.#write({ ...this.#mark, reserved: seq + seqsReserved - 1 })
    return seq
  }

  took(seq: number): void {
    if (seq !== this.#last + 1) throw new Error(`seq ${seq} does not come after ${this.#last}`)
    this.#last = seq
  }

  /** The greatest seq that may have been given. */
  get last(): number {
    return this.#last
  }

  get jumps(): readonly SeqJump[] {
    return this.#mark.jumps
  }

  /** Passes over a billion seqs from the greatest one that is known. */
  jump(known: number, reason: SeqJump['reason']): void {
    const from = Math.max(known, this.#mark.reserved, this.#last)
    this.#write(jumped(this.#mark, { at: this.#now(), from, reason }))
    this.#last = from + seqsSkipped
  }

  /** Gives back what was reserved in vain. */
  close(): void {
    if (this.#mark.reserved > this.#last) this.#write({ ...this.#mark, reserved: this.#last })
  }

  #write(mark: Mark): void {
    crashPoint('history.seqs.before_reserve')
    writeFileAtomic(this.#path, encode(mark), { mode: 0o600 })
    this.#mark = mark
    crashPoint('history.seqs.reserved')
  }
}

/**
 * A mark as it was, for a history that goes on elsewhere or again: the seqs that were given after it was made are passed over.
 *
 * @param bytes of the file of a mark; null when there is none
 * @returns the text of the mark to put in its place, and up to where it passes over
 */
export function restoredMark(bytes: Buffer | null, now: number): { readonly text: string; readonly seq: number } {
  const found = bytes === null ? null : parse(bytes.toString('utf8'))
  const known: Mark = found ?? { v: 1, reserved: 0, jumps: [] }
  const mark = jumped(known, { at: now, from: known.reserved, reason: 'restored' })
  return { text: encode(mark), seq: mark.reserved }
}

function jumped(mark: Mark, o: Pick<SeqJump, 'at' | 'from' | 'reason'>): Mark {
  const to = o.from + seqsSkipped
  return { ...mark, reserved: to, jumps: [...mark.jumps, { at: o.at, from: o.from, to, reason: o.reason }] }
}

function readMark(path: string): Mark | 'mark_missing' | 'mark_damaged' {
  if (!existsSync(path)) return 'mark_missing'
  try {
    return parse(readFileSync(path, 'utf8')) ?? 'mark_damaged'
  } catch (error) {
    throw toStorageError(error, path)
  }
}

function parse(text: string): Mark | null {
  try {
    const value: unknown = JSON.parse(text)
    return check.Check(value) ? value : null
  } catch {
    // No JSON: it is not what was written. What that means is the caller's to say.
    return null
  }
}

function encode(mark: Mark): string {
  return `${JSON.stringify(mark)}\n`
}
