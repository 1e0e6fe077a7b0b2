/**
 * A log file that is rotated by size: name.log, name.log.1 (the newest of the old) up to `filesKept`.
 *
 * 1. A line is written whole and at once; what was logged before a kill is in the file.
 * 2. A log that cannot be written never hurts its process: such lines are dropped and counted.
 * 3. Only its owner may read it. It is not synced: what a power cut takes from a log, nothing depends on.
 */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

/** Where a logger writes its lines. */
export class LogFile {
  readonly #path: string
  readonly #bytesMax: number
  readonly #filesKept: number
  #file: number
  #bytes: number
  #dropped = 0

  /**
   * Opens the file, or makes it (0600).
   *
   * @param o `bytesMax`: of one file, a longer line excepted; `filesKept`: old ones beside it
   * @throws the error of the file system when it cannot be opened
   */
  constructor(o: { path: string; bytesMax: number; filesKept: number }) {
    this.#path = o.path
    this.#bytesMax = o.bytesMax
    this.#filesKept = o.filesKept
    this.#file = openSync(o.path, 'a', 0o600)
    this.#bytes = fstatSync(this.#file).size
  }

  /** Lines that could not be written since the file was opened. */
  get dropped(): number {
    return this.#dropped
  }

  /** Appends a line; it ends with its newline. */
  write(line: string): void {
    try {
      if (this.#bytes > 0 && this.#bytes + line.length > this.#bytesMax) this.#rotate()
      this.#bytes += writeSync(this.#file, line)
    } catch {
      // A full or failing disk, of which others tell; the next line is tried again.
      this.#dropped += 1
    }
  }

  close(): void {
    closeSync(this.#file)
  }

  #rotate(): void {
    rmSync(`${this.#path}.${this.#filesKept}`, { force: true })
    for (let age = this.#filesKept - 1; age >= 1; age -= 1)
      moveIfPresent(`${this.#path}.${age}`, `${this.#path}.${age + 1}`)
    renameSync(this.#path, `${this.#path}.1`)
    const next = openSync(this.#path, 'a', 0o600)
    closeSync(this.#file)
    this.#file = next
    this.#bytes = fstatSync(next).size
  }
}

function moveIfPresent(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
