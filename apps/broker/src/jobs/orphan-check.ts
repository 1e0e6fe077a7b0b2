/**
 * Looks for rows that contradict each other, all the time and slowly: step by step through everything, then again after
 * a rest. It goes on where it was at every interval, and begins anew with the process.
 */

import {
  inspectionFindingsMax,
  inspectionRowsMax,
  inspectionRowsMin,
  inspectionStepMs,
  inspectionWorkMs,
} from '../limits.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Runtime } from '../runtime.ts'
import { inconsistencies, inconsistencyOf } from '../store/inspection/inconsistencies/statements.ts'
import { tables } from '../store/inspection/tables.ts'
import type { Finding, Inspection, InspectionPosition } from '../store/inspection.ts'
import type { Job } from './runner.ts'

export function orphanCheck(options: {
  readonly store: Inspection
  readonly runtime: Runtime
  readonly metrics: Metrics
  readonly log: Log
  readonly intervalMs: number
  /** From the end of a pass to the beginning of the next. */
  readonly restMs: number
}): Job {
  const { store, runtime, metrics, intervalMs, restMs } = options
  const findings = new Findings(options)
  const pace = new Pace()
  let position: InspectionPosition | null = null
  let restUntil = Number.NEGATIVE_INFINITY
  return {
    name: 'orphan_check',
    intervalMs,
    async step() {
      const startedAt = runtime.monotonicMs()
      if (startedAt < restUntil) return false
      const step = await store.inspect(position, pace.rowsMax)
      metrics.counters.dedupe_orphan_check.inc(step.rows)
      for (const finding of step.findings) findings.note(finding)
      position = step.next
      if (position === null) {
        findings.endPass()
        restUntil = runtime.monotonicMs() + restMs
      }
      return pace.tookStep(runtime.monotonicMs() - startedAt) && position !== null
    },
  }
}

/** How many rows one step looks at, so that a step is short on this machine, and how many steps are taken at once. */
class Pace {
  #rowsMax = inspectionRowsMin
  #workedMs = 0

  get rowsMax(): number {
    return this.#rowsMax
  }

  /** @returns whether another step may follow before the next interval */
  tookStep(ms: number): boolean {
    if (ms > inspectionStepMs) this.#rowsMax = Math.max(inspectionRowsMin, Math.floor(this.#rowsMax / 2))
    else if (ms < inspectionStepMs / 4) this.#rowsMax = Math.min(inspectionRowsMax, this.#rowsMax * 2)
    this.#workedMs += ms
    if (this.#workedMs < inspectionWorkMs) return true
    this.#workedMs = 0
    return false
  }
}

/** What this pass and the one before it found. Each finding is logged when it is first met. */
class Findings {
  readonly #metrics: Metrics
  readonly #log: Log
  /** Finding to its kind. */
  #known = new Map<string, Finding['name']>()
  #current = new Map<string, Finding['name']>()

  constructor({ metrics, log }: { readonly metrics: Metrics; readonly log: Log }) {
    this.#metrics = metrics
    this.#log = log
    this.#count()
  }

  note(finding: Finding): void {
    const { name, table, row } = finding
    const id = JSON.stringify([name, table, ...tables[table].key.map((column) => row[column])])
    if (this.#current.has(id) || this.#current.size >= inspectionFindingsMax) return
    this.#current.set(id, name)
    if (this.#known.has(id)) return
    this.#known.set(id, name)
    const { meaning, remedy } = inconsistencyOf(name)
    this.#log.error({ inconsistency: name, table, row, meaning, remedy }, 'inconsistency_found')
    this.#count()
  }

  /** What was not met again has been mended. */
  endPass(): void {
    this.#known = this.#current
    this.#current = new Map()
    this.#count()
  }

  #count(): void {
    const numbers = new Map<string, number>()
    for (const name of this.#known.values()) numbers.set(name, (numbers.get(name) ?? 0) + 1)
    for (const { name } of inconsistencies) {
      this.#metrics.gauges.atomicity_violation_found.set({ kind: name }, numbers.get(name) ?? 0)
    }
  }
}
