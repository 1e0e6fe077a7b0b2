/** A log file as somebody else writes and rotates it: its last lines, and what is added. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A place in one incarnation of the file. */
export interface LogPosition {
  readonly inode: number
  readonly offset: number
}

const chunkBytes = 64 * 1024

/** The last complete lines, and the position behind them; none when there is no file. */
export function lastLines(
  path: string,
  count: number,
): { readonly lines: readonly string[]; readonly end: LogPosition | null } {
  const file = openIfPresent(path)
  if (file === null) return { lines: [], end: null }
  try {
    const { size, ino } = fstatSync(file)
    let start = size
    let text = Buffer.alloc(0)
    // One more line break than lines: what stands before the first of them is the end of a line that is not wanted.
    while (start > 0 && countLineBreaks(text) <= count) {
      const length = Math.min(chunkBytes, start)
      start -= length
      text = Buffer.concat([readAt(file, start, length), text])
    }
    const complete = text.subarray(0, text.lastIndexOf(lineBreak) + 1)
    const lines = complete.toString('utf8').split('\n').slice(0, -1)
    return {
      lines: count === 0 ? [] : lines.slice(-count),
      end: { inode: ino, offset: size - (text.length - complete.length) },
    }
  } finally {
    closeSync(file)
  }
}

const followMs = 250

/**
 * Hands out lines as they are added, also across rotation, until the process ends.
 *
 * @param o.from null: from the beginning of the file that appears
 */
export async function followLines(
  path: string,
  o: { readonly from: LogPosition | null; readonly take: (line: string) => void; readonly signal?: AbortSignal },
): Promise<void> {
  let position = o.from
  while (o.signal?.aborted !== true) {
    position = readNewLines(path, position, o.take)
    await delay(followMs)
  }
}

/** Takes every complete line after the position; a file of another inode, or a shorter one, is read from its beginning. */
export function readNewLines(path: string, from: LogPosition | null, take: (line: string) => void): LogPosition | null {
  const file = openIfPresent(path)
  if (file === null) return from
  try {
    const { size, ino } = fstatSync(file)
    let offset = from !== null && from.inode === ino && from.offset <= size ? from.offset : 0
    let rest = Buffer.alloc(0)
    for (let at = offset; at < size; ) {
      const chunk = readAt(file, at, Math.min(chunkBytes, size - at))
      if (chunk.length === 0) break
      at += chunk.length
      const text = Buffer.concat([rest, chunk])
      const complete = text.subarray(0, text.lastIndexOf(lineBreak) + 1)
      for (const line of complete.toString('utf8').split('\n').slice(0, -1)) take(line)
      offset += complete.length
      rest = text.subarray(complete.length)
    }
    return { inode: ino, offset }
  } finally {
    closeSync(file)
  }
}

const lineBreak = 0x0a

function countLineBreaks(bytes: Buffer): number {
  let count = 0
  for (const byte of bytes) if (byte === lineBreak) count += 1
  return count
}

function readAt(file: number, offset: number, length: number): Buffer {
  const buffer = Buffer.alloc(length)
  return buffer.subarray(0, readSync(file, buffer, 0, length, offset))
}

function openIfPresent(path: string): number | null {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return null
  return openSync(path, 'r')
}
