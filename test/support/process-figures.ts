/** What the system knows of a process. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Of the kernel's clock for processes: 100 in a second. */
const msPerTick = 10
/** What a heap moves by itself. */
const levelSlackBytes = 2 * 1024 * 1024

/** Bytes of its memory that are in RAM. */
export function residentBytes(pid: number): number {
  const kibibytes =
    process.platform === 'linux'
      ? /^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  return Number(kibibytes) * 1024
}

/** How many files, sockets and pipes it has open; null where the system does not tell. */
export function openDescriptors(pid: number): number | null {
  return process.platform === 'linux' ? readdirSync(`/proc/${pid}/fd`).length : null
}

/** Processor time of the process since its start, in milliseconds. */
export function processorMs(pid: number): number {
  if (process.platform === 'linux') {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * msPerTick
  }
  const [seconds = 0, minutes = 0, hours = 0] = execFileSync('ps', ['-o', 'time=', '-p', String(pid)], {
    encoding: 'utf8',
  })
    .trim()
    .split(':')
    .map(Number)
    .reverse()
  return ((hours * 60 + minutes) * 60 + seconds) * 1000
}

const levelWavesMax = 20

/**
 * Does the same thing again and again until the memory of a process stays where it is: twice in a row no more than a
 * little above the most that it was before.
 *
 * @throws Error when it goes on growing
 */
export async function memoryLevelsOff(pid: number, wave: () => Promise<unknown>): Promise<readonly number[]> {
  const seen: number[] = []
  for (let level = 0; level < 2; ) {
    if (seen.length === levelWavesMax) throw new Error(`memory goes on growing: ${seen.join(', ')} bytes`)
    await wave()
    const resident = residentBytes(pid)
    level = seen.length > 0 && resident <= Math.max(...seen) + levelSlackBytes ? level + 1 : 0
    seen.push(resident)
  }
  return seen
}
