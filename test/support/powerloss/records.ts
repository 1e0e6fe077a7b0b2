/** The trace as plfs.c writes it: little endian, a header of 96 bytes, then two names and the data. */
import { readFileSync } from 'node:fs'

/** In the order of the numbers that plfs.c gives them; 0 is none. */
const operations = [
  'none',
  'meta',
  'base-end',
  'create',
  'mkdir',
  'symlink',
  'link',
  'unlink',
  'rmdir',
  'rename',
  'write',
  'size',
  'zero',
  'chmod',
  'fsync',
  'fsyncdir',
  'fault',
  'end',
] as const

/** What was done. */
type Operation = (typeof operations)[number]

/** One change, one fsync, or one injected fault. */
export interface TraceRecord {
  readonly op: Operation
  /** Written through a descriptor with O_SYNC or O_DSYNC: durable at once. */
  readonly writeThrough: boolean
  readonly dataOnly: boolean
  /** errno of an injected failure, else 0. */
  readonly errno: number
  readonly pid: number
  readonly seq: number
  /** When the request was taken and answered: nanoseconds of CLOCK_MONOTONIC, which is `process.hrtime.bigint()`. */
  readonly startedAt: bigint
  readonly doneAt: bigint
  /** The file that was changed, or the directory that the name is in. */
  readonly inode: number
  /** By operation: offset, size, or the directory that a name was moved to. */
  readonly a: number
  /** By operation: the inode that a name stands for, or a number of bytes. */
  readonly b: number
  readonly mode: number
  readonly name: string
  readonly otherName: string
  readonly data: Buffer
}

const headerBytes = 96
const magic = 0x31524c50
const flags = { writeThrough: 1, dataOnly: 2 }

export interface RecordedRun {
  /** Permission bits of the directory itself. */
  readonly rootMode: number
  /** What was there before, as operations. */
  readonly base: readonly TraceRecord[]
  readonly records: readonly TraceRecord[]
  /** When the recording ended; null when the recorder was killed. */
  readonly endedAt: bigint | null
}

/** @throws Error when the file is no trace, or ends before the recording began */
export function readRecords(path: string): RecordedRun {
  const bytes = readFileSync(path)
  let rootMode: number | null = null
  let base: TraceRecord[] | null = null
  let records: TraceRecord[] = []
  let endedAt: bigint | null = null
  for (let at = 0; at + headerBytes <= bytes.length && bytes.readUInt32LE(at) === magic; ) {
    const total = bytes.readUInt32LE(at + 4)
    // The recorder was killed while it wrote this one.
    if (at + total > bytes.length) break
    const record = readRecord(bytes.subarray(at, at + total))
    at += total
    if (record.op === 'meta') rootMode = record.mode
    else if (record.op === 'end') endedAt = record.startedAt
    else if (record.op === 'base-end') {
      base = records
      records = []
    } else records.push(record)
  }
  if (rootMode === null || base === null) throw new Error(`${path} is no trace, or ends before the recording began`)
  return { rootMode, base, records, endedAt }
}

function readRecord(bytes: Buffer): TraceRecord {
  const flagBits = bytes[9] ?? 0
  const nameEnd = headerBytes + bytes.readUInt16LE(76)
  const otherNameEnd = nameEnd + bytes.readUInt16LE(78)
  const op = operations[bytes[8] ?? 0]
  if (op === undefined) throw new Error(`operation ${bytes[8]} is unknown`)
  return {
    op,
    writeThrough: (flagBits & flags.writeThrough) !== 0,
    dataOnly: (flagBits & flags.dataOnly) !== 0,
    errno: bytes.readUInt16LE(10),
    pid: bytes.readUInt32LE(12),
    seq: Number(bytes.readBigUInt64LE(16)),
    startedAt: bytes.readBigUInt64LE(24),
    doneAt: bytes.readBigUInt64LE(32),
    inode: Number(bytes.readBigUInt64LE(48)),
    a: Number(bytes.readBigUInt64LE(56)),
    b: Number(bytes.readBigUInt64LE(64)),
    mode: bytes.readUInt32LE(72),
    name: bytes.toString('utf8', headerBytes, nameEnd),
    otherName: bytes.toString('utf8', nameEnd, otherNameEnd),
    data: bytes.subarray(otherNameEnd, otherNameEnd + bytes.readUInt32LE(80)),
  }
}
