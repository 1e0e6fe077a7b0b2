/**
 * The clock by which things are judged to be past their time. What is deleted does not come back, and a wall clock is wrong
 * at times: a battery is empty, a virtual machine is resumed, somebody sets the wrong year.
 *
 * 1. It is never ahead of the wall clock.
 * 2. It goes back with the wall clock at once, and forward with it as long as that goes on as time does.
 * 3. A leap forward is believed when it has lasted. So a host that was asleep or off for long deletes a little later.
 * 4. What was believed last outlives the process, in a file of its own: rows that were stored under a wrong clock have its
 *    time, and say nothing of whether it is right.
 */
import { readFileSync } from 'node:fs'
import { writeFileAtomic } from './atomic-file.ts'

/** A leap of more than this is not believed at once. No retention is shorter. */
const leapMsMax = 24 * 3_600_000
/** How long a leap has to last, by the monotonic clock. */
const leapLastsMs = 3_600_000
/** How far time goes on before it is written down again. */
const writtenEveryMs = 3_600_000

export interface RetentionClockOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Milliseconds that only ascend, from anywhere. */
  readonly monotonicMs: () => number
  /** Where it is written down what was believed last. */
  readonly path: string
  /** Where that file is missing: when something is known to have happened last, before this process began; null: never. */
  readonly lastKnown: number | null
}

/** A time and when it was so, by the monotonic clock. */
interface Reading {
  readonly time: number
  readonly monotonicMs: number
}

export class RetentionClock {
  readonly #o: RetentionClockOptions
  /** What was believed last. */
  #believed: Reading
  /** What the wall clock said after a leap that has not lasted yet. */
  #leapt: Reading | null = null
  /** What the file says; null: there is none yet. */
  #written: number | null

  constructor(options: RetentionClockOptions) {
    this.#o = options
    this.#written = readBelieved(options.path)
    const time = this.#written ?? options.lastKnown ?? options.now()
    this.#believed = { time, monotonicMs: options.monotonicMs() }
  }

  /** Milliseconds since the epoch. It is to be asked at least every few hours. */
  now(): number {
    const time = this.#judge()
    if (this.#written === null || Math.abs(time - this.#written) >= writtenEveryMs) this.#write(time)
    return time
  }

  #judge(): number {
    const reading: Reading = { time: this.#o.now(), monotonicMs: this.#o.monotonicMs() }
    if (isLeap(this.#believed, reading) && !this.#hasLasted(reading)) return after(this.#believed, reading)
    this.#believed = reading
    this.#leapt = null
    return reading.time
  }

  #write(time: number): void {
    try {
      writeFileAtomic(this.#o.path, `${Math.floor(time)}\n`, { mode: 0o600 })
      this.#written = time
    } catch {
      // A full disk, for one. It is tried again, and a process that begins with an earlier time deletes a little later.
    }
  }

  /** Whether the wall clock has gone on as time does since it leapt. */
  #hasLasted(reading: Reading): boolean {
    if (this.#leapt === null || isLeap(this.#leapt, reading) || isLeap(reading, this.#leapt)) this.#leapt = reading
    return reading.monotonicMs - this.#leapt.monotonicMs >= leapLastsMs
  }
}

function readBelieved(path: string): number | null {
  try {
    const text = readFileSync(path, 'utf8')
    return /^\d{1,15}\n$/.test(text) ? Number(text) : null
  } catch {
    // There is none, or the disk does not give it: the rows say what they can.
    return null
  }
}

function isLeap(from: Reading, to: Reading): boolean {
  return to.time - after(from, to) > leapMsMax
}

/** The time when `at` was read, if time had gone on from `from` as it should. */
function after(from: Reading, at: Reading): number {
  return from.time + (at.monotonicMs - from.monotonicMs)
}
