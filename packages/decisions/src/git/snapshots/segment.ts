/**
 * What is known of some events that follow each other, in one file: their commits, their ids, and their intents (07 §2, §5).
 *
 * 1. Everything in it is under a digest, which is compared before anything of it is used.
 * 2. The head says what the parts are, and is all that opening a space reads; a part is read when it is first asked for.
 */
import { createHash, hash } from 'node:crypto'
import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { KnownLine } from '../../space-line.ts'

/** Of the form of the file, and of what a line keeps: a segment of another one is not read. */
const version = 1

const partSchema = Type.Object({ bytes: Type.Integer({ minimum: 0 }), sha256: Type.String() })
const headSchema = Type.Object({
  version: Type.Literal(version),
  space: Type.String(),
  /** Numbers of the first and of the last event. */
  from: Type.Integer({ minimum: 1 }),
  to: Type.Integer({ minimum: 1 }),
  /** Of the last event. Hexadecimal. */
  commit: Type.String(),
  /** The line after the last event, as `SpaceLine.known` gives it. */
  line: Type.Object({
    time: Type.Integer(),
    last_event_id: Type.String(),
    aliases: Type.Array(Type.Tuple([Type.String(), Type.String()])),
    bindings: Type.Array(Type.String()),
  }),
  commits: partSchema,
  event_ids: partSchema,
  intents: partSchema,
})

export type SegmentHead = Static<typeof headSchema>
type PartName = 'commits' | 'event_ids' | 'intents'

/** One event, as a segment knows it. */
export interface KnownEvent {
  /** Hexadecimal. */
  readonly commit: string
  readonly eventId: string
  readonly intentId: string
}

/** The parts of a segment as they are put together. */
export interface SegmentParts {
  /** Raw, in order. */
  readonly commits: Buffer
  /** Sorted. */
  readonly eventIds: readonly string[]
  /** `intentKey` and number of the event, hexadecimal, sorted. */
  readonly intents: readonly string[]
}

/** A file is not there any more, or not as it was written: what was read with it is to be read without it. */
export class SnapshotLost extends Error {}

/** Removes a file that is not what was written, so that nobody trips over it again; where it cannot be removed it stays. */
export function removeLost(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // A disk that cannot be written. Whoever comes next finds out for itself.
  }
}

const eventIdBytes = 26
const intentKeyBytes = 16
const seqBytes = 6
const intentBytes = intentKeyBytes + seqBytes
/** The digest of the head and how long it is. */
const preambleBytes = 64 + 1 + 12 + 1

const validator = Compile(headSchema)

/** The parts of new events. @param from number of the first */
export function partsOf(events: readonly KnownEvent[], from: number): SegmentParts {
  return {
    commits: Buffer.from(events.map(({ commit }) => commit).join(''), 'hex'),
    eventIds: events.map(({ eventId }) => eventId).sort(),
    intents: events.map(({ intentId }, index) => `${intentKey(intentId)}${seqHex(from + index)}`).sort(),
  }
}

/** The parts of two that follow each other as one. */
export function joinParts(first: SegmentParts, second: SegmentParts): SegmentParts {
  return {
    commits: Buffer.concat([first.commits, second.commits]),
    eventIds: [...first.eventIds, ...second.eventIds].sort(),
    intents: [...first.intents, ...second.intents].sort(),
  }
}

export function encodeSegment(
  place: Pick<SegmentHead, 'space' | 'from' | 'to' | 'commit'> & { readonly line: KnownLine },
  { commits, eventIds, intents }: SegmentParts,
): Buffer {
  const parts = [commits, Buffer.from(eventIds.join(''), 'latin1'), Buffer.from(intents.join(''), 'hex')] as const
  const [ofCommits, ofEventIds, ofIntents] = parts.map((part) => ({ bytes: part.length, sha256: digestOf(part) }))
  const head = Buffer.from(
    JSON.stringify({ version, ...place, commits: ofCommits, event_ids: ofEventIds, intents: ofIntents }),
  )
  const preamble = `${digestOf(head)} ${String(head.length).padStart(12, '0')}\n`
  return Buffer.concat([Buffer.from(preamble), head, ...parts])
}

export class Segment {
  readonly head: SegmentHead
  readonly path: string
  readonly #partsAt: number
  readonly #parts = new Map<PartName, Buffer>()

  /** @throws SnapshotLost */
  static open(path: string): Segment {
    const preamble = readAt(path, { at: 0, bytes: preambleBytes }).toString('latin1')
    const [, digest, length] = /^([0-9a-f]{64}) (\d{12})\n$/.exec(preamble) ?? []
    if (digest === undefined) throw new SnapshotLost(`${path} does not begin as a segment`)
    const bytes = readAt(path, { at: preambleBytes, bytes: Number(length) })
    if (digestOf(bytes) !== digest) throw new SnapshotLost(`${path} is damaged`)
    const head: unknown = JSON.parse(bytes.toString('utf8'))
    if (!validator.Check(head)) throw new SnapshotLost(`${path} is of another version`)
    return new Segment(path, head, preambleBytes + bytes.length)
  }

  private constructor(path: string, head: SegmentHead, partsAt: number) {
    this.path = path
    this.head = head
    this.#partsAt = partsAt
  }

  /** Reads everything that is not read yet: nothing throws afterwards. @throws SnapshotLost */
  load(): void {
    for (const name of ['commits', 'event_ids', 'intents'] as const) this.#part(name)
  }

  /** The commits of the events after a number up to another one, both within the segment. @throws SnapshotLost */
  commits(after: number, until: number): string[] {
    const part = this.#part('commits')
    const { from, to } = this.head
    const idBytes = part.length / (to - from + 1)
    const ids: string[] = []
    for (let seq = after + 1; seq <= until; seq += 1) {
      ids.push(part.toString('hex', (seq - from) * idBytes, (seq - from + 1) * idBytes))
    }
    return ids
  }

  /** @throws SnapshotLost */
  hasEventId(eventId: string): boolean {
    const part = this.#part('event_ids')
    const at = findFirst(part, { rowBytes: eventIdBytes, key: Buffer.from(eventId, 'latin1') })
    return part.toString('latin1', at, at + eventIdBytes) === eventId
  }

  /** The numbers of the events of an intent, in order. @param key as `intentKey` gives it @throws SnapshotLost */
  findIntent(key: Buffer): number[] {
    const part = this.#part('intents')
    const numbers: number[] = []
    for (let at = findFirst(part, { rowBytes: intentBytes, key }); at < part.length; at += intentBytes) {
      if (part.compare(key, 0, key.length, at, at + key.length) !== 0) break
      numbers.push(part.readUIntBE(at + intentKeyBytes, seqBytes))
    }
    return numbers
  }

  /** Taken apart again, for a segment that has more. @throws SnapshotLost */
  parts(): SegmentParts {
    return {
      commits: this.#part('commits'),
      eventIds: rowsOf(this.#part('event_ids').toString('latin1'), eventIdBytes),
      intents: rowsOf(this.#part('intents').toString('hex'), 2 * intentBytes),
    }
  }

  #part(name: PartName): Buffer {
    const known = this.#parts.get(name)
    if (known !== undefined) return known
    const { commits, event_ids: eventIds } = this.head
    const before = { commits: 0, event_ids: commits.bytes, intents: commits.bytes + eventIds.bytes }[name]
    const { bytes, sha256 } = this.head[name]
    const part = readAt(this.path, { at: this.#partsAt + before, bytes })
    if (digestOf(part) !== sha256) throw new SnapshotLost(`${this.path} is damaged`)
    this.#parts.set(name, part)
    return part
  }
}

/** What an intent is found by, however long its id is. Hexadecimal. */
export function intentKey(intentId: string): string {
  return hash('sha256', intentId, 'hex').slice(0, 2 * intentKeyBytes)
}

function seqHex(seq: number): string {
  return seq.toString(16).padStart(2 * seqBytes, '0')
}

/** Where the first row begins that does not come before a key; the end when there is none. */
function findFirst(part: Buffer, { rowBytes, key }: { readonly rowBytes: number; readonly key: Buffer }): number {
  let low = 0
  let high = part.length / rowBytes
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = middle * rowBytes
    if (part.compare(key, 0, key.length, at, at + key.length) < 0) low = middle + 1
    else high = middle
  }
  return low * rowBytes
}

function rowsOf(text: string, length: number): string[] {
  return Array.from({ length: text.length / length }, (_, row) => text.slice(row * length, (row + 1) * length))
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function readAt(path: string, { at, bytes }: { readonly at: number; readonly bytes: number }): Buffer {
  try {
    const file = openSync(path, 'r')
    try {
      const read = Buffer.alloc(bytes)
      if (readSync(file, read, 0, bytes, at) === bytes) return read
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw new SnapshotLost(`${path} cannot be read`, { cause })
  }
  throw new SnapshotLost(`${path} was cut off`)
}
