/**
 * When an fsync of a file fails, the kernel goes on to show what was written although the disk does not have it, and no
 * later fsync writes it. For a log of SQLite that is a trap for whoever opens it next: to them the commit that failed looks
 * whole. What they append behind it, a power cut takes away; and what they move from it into the database file, the
 * shorter log on the disk then undoes in part, which is a damaged database.
 *
 * Writing the same bytes once more makes them new to the kernel, so that an fsync of them means something again. Nobody can
 * see the difference, and a cut in between leaves each part of the file as it was or as it should be.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'

const portionBytes = 1024 * 1024

/**
 * Writes a file again as it is, and syncs it. One that is not there is left so. The caller sees to it that nobody else
 * writes to it meanwhile.
 */
export function rewriteSynced(path: string): void {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    const portion = Buffer.allocUnsafe(portionBytes)
    let position = 0
    for (;;) {
      const length = readSync(descriptor, portion, 0, portionBytes, position)
      if (length === 0) break
      for (let done = 0; done < length; ) done += writeSync(descriptor, portion, done, length - done, position + done)
      position += length
    }
    if (position > 0) fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
