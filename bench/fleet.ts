/** Members of one broker, in processes that each hold many, driven together. */
import type { ChildProcess } from 'node:child_process'
import { eventually } from '../test/support/eventually.ts'
import { askProcess, forkReady } from './load.ts'

/** Every member of a mesh subscribes to it. */
export const topicOfAll = 'all'
/** A message has 512 recipients at most. */
const membersPerMesh = 500
const membersPerProcess = 2_500

export type FleetJob =
  | { readonly kind: 'register'; readonly databasePath: string }
  | { readonly kind: 'connect'; readonly perSecond: number }
  | { readonly kind: 'post'; readonly sealedBytes: number }
  | { readonly kind: 'report' }

/** What has happened to the members of a process since its last report; times in milliseconds since the epoch. */
export interface FleetReport {
  /** Connections that are open now. */
  readonly open: number
  readonly opened: readonly number[]
  /** Attempts that ended before there was a connection, and why. */
  readonly failed: readonly number[]
  readonly failures: readonly (readonly [string, number])[]
  readonly delivered: readonly number[]
  /** Since the start of the process. */
  readonly processorMs: number
}

export class Fleet {
  readonly members: number
  readonly meshes: number
  readonly #processes: readonly ChildProcess[]

  /** Makes keys and certificates for about so many members; nobody connects. */
  static async start(url: string, about: number): Promise<Fleet> {
    const meshes = Math.max(1, Math.round(about / membersPerMesh))
    const meshesEach = membersPerProcess / membersPerMesh
    const started: Promise<ChildProcess>[] = []
    for (let begun = 0; begun < meshes; begun += meshesEach) {
      const count = Math.min(meshesEach, meshes - begun)
      started.push(forkReady('member-fleet', [url, String(count), String(membersPerMesh)]))
    }
    return new Fleet(meshes, await Promise.all(started))
  }

  private constructor(meshes: number, processes: readonly ChildProcess[]) {
    this.meshes = meshes
    this.members = meshes * membersPerMesh
    this.#processes = processes
  }

  /** Makes every member known to a broker that does not run. */
  async register(databasePath: string): Promise<void> {
    for (const process of this.#processes) await askProcess(process, { kind: 'register', databasePath })
  }

  /** All processes do the same. @returns their reports as one */
  async run(job: FleetJob): Promise<FleetReport> {
    const reports = (await Promise.all(this.#processes.map((process) => askProcess(process, job)))) as FleetReport[]
    return join(reports)
  }

  /** Waits until something holds of all that has happened from now on. @returns all of it */
  async until(what: string, holds: (report: FleetReport) => boolean): Promise<FleetReport> {
    let sum = await this.run({ kind: 'report' })
    await eventually(
      what,
      async () => {
        if (holds(sum)) return true
        const latest = await this.run({ kind: 'report' })
        sum = { ...join([sum, latest]), open: latest.open, processorMs: latest.processorMs }
        return holds(sum)
      },
      // Ten thousand handshakes on a busy machine.
      { withinMs: 600_000 },
    )
    return sum
  }

  /** Waits until every member is connected. */
  allOpen(): Promise<FleetReport> {
    return this.until(`${this.members} members are connected`, ({ open }) => open === this.members)
  }

  close(): void {
    for (const process of this.#processes) process.kill()
  }
}

function join(reports: readonly FleetReport[]): FleetReport {
  const failures = new Map<string, number>()
  for (const [why, count] of reports.flatMap((report) => report.failures)) {
    failures.set(why, (failures.get(why) ?? 0) + count)
  }
  return {
    open: sum(reports.map(({ open }) => open)),
    opened: reports.flatMap(({ opened }) => opened),
    failed: reports.flatMap(({ failed }) => failed),
    failures: [...failures],
    delivered: reports.flatMap(({ delivered }) => delivered),
    processorMs: sum(reports.map(({ processorMs }) => processorMs)),
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
