/** Measures the disk in the background, so that no request does, and tells when the pressure changes. */
import { type DiskMeasurement, type DiskPressure, measureDisk } from '@claudemesh/storage'
import { diskWatchIntervalMs } from '../limits.ts'
import type { Log } from '../log.ts'

export interface DiskWatchOptions {
  readonly directory: string
  readonly budgetBytes: () => number | null
  /** What of it is measured by somebody else. */
  readonly known: () => { readonly directory: string; readonly bytes: number }
  readonly log: Log
  readonly onChange: (pressure: DiskPressure, measured: DiskMeasurement) => void
}

export class DiskWatch {
  readonly #o: DiskWatchOptions
  #latest: DiskMeasurement
  #timer: NodeJS.Timeout | null = null

  /** Measures once, so that the first request already meets the truth. */
  constructor(o: DiskWatchOptions) {
    this.#o = o
    this.#latest = this.#measureNow()
  }

  get latest(): DiskMeasurement {
    return this.#latest
  }

  get pressure(): DiskPressure {
    return this.#latest.pressure
  }

  start(): void {
    if (this.#latest.pressure !== 'ok') this.#o.onChange(this.#latest.pressure, this.#latest)
    this.#timer = setInterval(() => this.measure(), diskWatchIntervalMs)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  measure(): void {
    const before = this.#latest.pressure
    try {
      this.#latest = this.#measureNow()
    } catch (error) {
      // The last measurement stays in force; a disk that cannot be read shows itself at the next commit.
      this.#o.log.error({ err: error }, 'disk_not_measured')
      return
    }
    if (this.#latest.pressure !== before) this.#o.onChange(this.#latest.pressure, this.#latest)
  }

  #measureNow(): DiskMeasurement {
    const { directory, budgetBytes, known } = this.#o
    return measureDisk({ directory, budgetBytes: budgetBytes(), known: known() })
  }
}
