/**
 * A log file that is rotated by size: daemon.log, daemon.log.1 (the newest of the old) up to `filesKept`.
 *
 * 1. A line is written whole and at once; what was logged before a kill is in the file.
 * 2. A log that cannot be written never hurts the daemon: such lines are dropped and counted.
 */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

export class LogFile {
  readonly #path: string
  readonly #bytesMax: number
  readonly #filesKept: number
  #file: number
  #bytes: number
  #dropped = 0

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

  write(line: string): void {
    try {
      if (this.#bytes > 0 && this.#bytes + line.length > this.#bytesMax) this.#rotate()
      this.#bytes += writeSync(this.#file, line)
    } catch {
      // A full or failing disk: the conditions in `daemon status` tell of it, and the next line is tried again.
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
