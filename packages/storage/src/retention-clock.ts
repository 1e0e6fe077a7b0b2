/**
 * The clock by which things are judged to be past their time. What is deleted does not come back, and a wall clock is wrong
 * at times: a battery is empty, a virtual machine is resumed, somebody sets the wrong year.
 *
 * 1. It is never ahead of the wall clock.
 * 2. It goes back with the wall clock at once, and forward with it as long as that goes on as time does.
 * 3. A leap forward is believed when it has lasted. So a host that was asleep or off for long deletes a little later.
 */

/** A leap of more than this is not believed at once. No retention is shorter. */
const leapMsMax = 24 * 3_600_000
/** How long a leap has to last, by the monotonic clock. */
const leapLastsMs = 3_600_000

export interface RetentionClockOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Milliseconds that only ascend, from anywhere. */
  readonly monotonicMs: () => number
  /** When something is known to have happened last, before this process began; null: never. */
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

  constructor(options: RetentionClockOptions) {
    this.#o = options
    this.#believed = { time: options.lastKnown ?? options.now(), monotonicMs: options.monotonicMs() }
  }

  /** Milliseconds since the epoch. It is to be asked at least every few hours. */
  now(): number {
    const reading: Reading = { time: this.#o.now(), monotonicMs: this.#o.monotonicMs() }
    if (isLeap(this.#believed, reading) && !this.#hasLasted(reading)) return after(this.#believed, reading)
    this.#believed = reading
    this.#leapt = null
    return reading.time
  }

  /** Whether the wall clock has gone on as time does since it leapt. */
  #hasLasted(reading: Reading): boolean {
    if (this.#leapt === null || isLeap(this.#leapt, reading) || isLeap(reading, this.#leapt)) this.#leapt = reading
    return reading.monotonicMs - this.#leapt.monotonicMs >= leapLastsMs
  }
}

function isLeap(from: Reading, to: Reading): boolean {
  return to.time - after(from, to) > leapMsMax
}

/** The time when `at` was read, if time had gone on from `from` as it should. */
function after(from: Reading, at: Reading): number {
  return from.time + (at.monotonicMs - from.monotonicMs)
}
