/** What the system knows of a process. Linux alone tells it like this. */
import { readdirSync, readFileSync } from 'node:fs'

/** Bytes of its memory that are in RAM. */
export function residentBytes(pid: number): number {
  return readField(`/proc/${pid}/status`, 'VmRSS') * 1024
}

/** Processor time of all its threads since their start, in milliseconds. */
export function processorMs(pid: number): number {
  const nanoseconds = threads(pid).map((thread) => Number(readFileSync(`${thread}/schedstat`, 'utf8').split(' ')[0]))
  return sum(nanoseconds) / 1e6
}

/** How often one of its threads has waited for something since its start. */
export function wakeUps(pid: number): number {
  return sum(threads(pid).map((thread) => readField(`${thread}/status`, 'voluntary_ctxt_switches')))
}

function threads(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => `/proc/${pid}/task/${id}`)
}

function readField(path: string, name: string): number {
  const value = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(path, 'utf8'))?.[1]
  if (value === undefined) throw new Error(`${path} does not tell ${name}`)
  return Number(value)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
