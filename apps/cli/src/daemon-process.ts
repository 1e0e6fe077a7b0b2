/**
 * The daemon as a process of this host: found, started, stopped (03 §1).
 *
 * 1. The lock says whether a daemon runs. The pid file only says which process it is, and only while the lock is held.
 * 2. `start` returns when /v1/health answers, or with the reason why it does not; in either case within its deadline. Where
 *    the daemon brings up the broker itself, the link is waited for a moment too, and its absence is no failure.
 * 3. Of two that start at once both succeed: the one whose daemon lost the race finds the other's.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { openClient } from '@claudemesh/client'
import { type Health, isErrorCode } from '@claudemesh/protocol'
import { ensurePrivateDirectory, isLocked } from '@claudemesh/storage'
import { childEnvironment } from './environment.ts'
import { type LastExit, readLastExit } from './last-exit.ts'
import { formatLogLine } from './log-lines.ts'
import { readMembership } from './membership.ts'
import { daemonPaths, MeshError } from './protocol.ts'
import { selfCommand } from './self-command.ts'

export interface DaemonPlace {
  readonly home: string
  /** The slug of the mesh. */
  readonly mesh: string
}

export type StartOutcome =
  | { readonly kind: 'started' | 'already_running'; readonly health: Health }
  | { readonly kind: 'failed'; readonly error: MeshError }

/** Spec: start comes back in under 10 s. */
const startMsMax = 9_500
/** How long a broker that the daemon brings up itself is waited for. */
const localBrokerMsMax = 5_000
const stopMsMax = 10_000
const pollMs = 25

/**
 * Starts the daemon in the background.
 *
 * @param settings `section.key` to value, which override configuration and environment
 */
export async function startDaemon(
  place: DaemonPlace,
  settings: Readonly<Record<string, string>>,
): Promise<StartOutcome> {
  const paths = daemonPaths(place.home, place.mesh)
  ensurePrivateDirectory(paths.directory)
  const deadline = performance.now() + startMsMax
  const running = await awaitHolder(place, deadline)
  if (running !== null) return { kind: 'already_running', health: await awaitLocalBroker(place, running, deadline) }
  const begunAt = Date.now()
  const log = openSync(paths.log, 'a', 0o600)
  const logStart = fstatSync(log).size
  const child = spawnDaemon(place, { settings, output: log })
  closeSync(log)
  let left = false
  child.once('exit', () => {
    left = true
  })
  child.once('error', () => {
    left = true
  })
  while (performance.now() < deadline) {
    // Asked again after the child is gone: it may have lost a race, and then the winner answers.
    const gone = left
    const health = await askHealth(place, deadline)
    if (health !== null) {
      child.unref()
      const kind = health.pid === child.pid ? 'started' : 'already_running'
      return { kind, health: await awaitLocalBroker(place, health, deadline) }
    }
    if (gone && !isLocked(paths.lock)) break
    await delay(pollMs)
  }
  child.unref()
  return { kind: 'failed', error: explainFailure(place, { begunAt, logStart, left }) }
}

/** The daemon that somebody else starts, as soon as it answers. */
export async function awaitDaemon(place: DaemonPlace): Promise<StartOutcome> {
  const deadline = performance.now() + startMsMax
  const { log, lock } = daemonPaths(place.home, place.mesh)
  const from = { begunAt: Date.now(), logStart: existsSync(log) ? statSync(log).size : 0 }
  while (performance.now() < deadline) {
    const health = await askHealth(place, deadline)
    if (health !== null) return { kind: 'started', health: await awaitLocalBroker(place, health, deadline) }
    await delay(pollMs)
  }
  return { kind: 'failed', error: explainFailure(place, { ...from, left: !isLocked(lock) }) }
}

/** The daemon that holds the lock, once it answers; null when nobody holds it, at once or after one that was leaving. */
async function awaitHolder(place: DaemonPlace, deadline: number): Promise<Health | null> {
  for (;;) {
    const health = await askHealth(place, deadline)
    if (health !== null || !isLocked(daemonPaths(place.home, place.mesh).lock)) return health
    if (performance.now() > deadline) {
      throw new MeshError('start_failed', {
        detail: `a daemon of mesh ${place.mesh} holds the lock and does not answer`,
        hint: `See \`claudemesh daemon logs --mesh ${place.mesh}\`, or end it with \`claudemesh daemon stop --mesh ${place.mesh}\`.`,
      })
    }
    await delay(pollMs)
  }
}

/** The daemon once its link is open, when the broker is of its own home; else, and when that takes long, as it is. */
async function awaitLocalBroker(place: DaemonPlace, health: Health, deadline: number): Promise<Health> {
  const { broker_local: isLocal, broker_url: url } = await readMembership(place)
  if (!isLocal || health.link.broker_url !== url) return health
  const patience = Math.min(deadline, performance.now() + localBrokerMsMax)
  let latest = health
  while (!latest.link.connected && performance.now() < patience) {
    await delay(pollMs)
    const next = await askHealth(place, patience)
    if (next === null) break
    latest = next
  }
  return latest
}

function spawnDaemon(
  { home, mesh }: DaemonPlace,
  o: { readonly settings: Readonly<Record<string, string>>; readonly output: number },
): ChildProcess {
  const [program = process.execPath, ...first] = selfCommand
  const settings = Object.entries(o.settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const args = [...first, 'daemon', 'start', '--foreground', '--mesh', mesh, ...settings]
  const stdio = ['ignore', o.output, o.output] as const
  // Its working directory is one that nobody wants to unmount or remove while it runs.
  return spawn(program, args, { detached: true, stdio: [...stdio], cwd: home, env: childEnvironment(home) })
}

function explainFailure(place: DaemonPlace, o: { begunAt: number; logStart: number; left: boolean }): MeshError {
  const paths = daemonPaths(place.home, place.mesh)
  const logs = `See \`claudemesh daemon logs --mesh ${place.mesh}\`.`
  if (!o.left) {
    return new MeshError('start_failed', {
      detail: `the daemon runs but does not answer at ${paths.socket} yet`,
      hint: logs,
    })
  }
  const lastExit = readLastExit(paths.lastExit)
  if (lastExit !== null && lastExit.at >= o.begunAt) {
    return new MeshError(isErrorCode(lastExit.name) ? lastExit.name : 'start_failed', {
      detail: `the daemon of mesh ${place.mesh} did not start: ${lastExit.reason}`,
      hint: lastExit.remedy ?? logs,
      data: { last_exit: lastExit },
    })
  }
  const said = readFrom(paths.log, o.logStart)
    .split('\n')
    .filter((line) => line.trim() !== '')
  const remedy = said.findLast((line) => line.startsWith(remedyMark))?.slice(remedyMark.length)
  const words = said
    .filter((line) => !line.startsWith(remedyMark))
    .slice(-3)
    .map((line) => formatLogLine(line))
  return new MeshError('start_failed', {
    detail: `the daemon of mesh ${place.mesh} ended at once${words.length === 0 ? '' : `: ${words.join(' | ')}`}`,
    hint: remedy ?? logs,
  })
}

/** How a process of ours begins the line that says what to do. */
const remedyMark = '  -> '

function readFrom(path: string, start: number): string {
  const bytesMax = 16 * 1024
  const file = openSync(path, 'r')
  try {
    const from = Math.max(start, fstatSync(file).size - bytesMax)
    const buffer = Buffer.alloc(bytesMax)
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, bytesMax, from))
  } finally {
    closeSync(file)
  }
}

export type StopOutcome = { readonly kind: 'stopped'; readonly pid: number } | { readonly kind: 'not_running' }

/**
 * Ends the daemon with SIGTERM and waits until its lock is free.
 *
 * @throws MeshError timeout when it does not leave, start_failed when its pid is not known
 */
export async function stopDaemon(place: DaemonPlace): Promise<StopOutcome> {
  const paths = daemonPaths(place.home, place.mesh)
  const deadline = performance.now() + stopMsMax
  let seen: number | null = null
  let signalled: number | null = null
  while (isLocked(paths.lock)) {
    if (performance.now() > deadline) throw stillThere(place, signalled)
    const pid = readPid(paths.pid)
    // A pid counts when it stands there for a second look: a daemon writes its own right after it took the lock, and
    // until then the file may name a process that is none of ours.
    if (pid !== null && pid === seen && pid !== signalled && signal(pid)) signalled = pid
    seen = pid
    await delay(pollMs)
  }
  return signalled === null ? { kind: 'not_running' } : { kind: 'stopped', pid: signalled }
}

/** @returns false when there is no such process any more */
function signal(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGTERM')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ESRCH') return false
    throw cause
  }
}

function stillThere({ mesh }: DaemonPlace, pid: number | null): MeshError {
  if (pid === null) {
    return new MeshError('timeout', {
      detail: `a process holds the lock of the daemon of mesh ${mesh} and wrote no pid`,
      hint: `Find it with \`lsof\` or \`fuser\` on the lock file, or see \`claudemesh daemon logs --mesh ${mesh}\`.`,
    })
  }
  return new MeshError('timeout', {
    detail: `the daemon of mesh ${mesh} (pid ${pid}) did not leave within ${stopMsMax / 1000} s`,
    hint: `It can be ended with \`kill -9 ${pid}\`: nothing acknowledged is lost, and the next start recovers by itself.`,
  })
}

/** What is known of a daemon, answering or not. */
export interface DaemonState {
  readonly health: Health | null
  /** Of the process that holds the lock; null when none does. */
  readonly pid: number | null
  readonly lastExit: LastExit | null
}

export async function inspectDaemon(place: DaemonPlace): Promise<DaemonState> {
  const paths = daemonPaths(place.home, place.mesh)
  const health = await askHealth(place)
  if (health !== null) return { health, pid: health.pid, lastExit: null }
  const locked = existsSync(paths.directory) && isLocked(paths.lock)
  return { health: null, pid: locked ? readPid(paths.pid) : null, lastExit: readLastExit(paths.lastExit) }
}

/**
 * @param deadline on the clock of `performance.now`: no answer is waited for beyond it
 * @returns null when nobody answers
 */
async function askHealth({ home, mesh }: DaemonPlace, deadline = Number.POSITIVE_INFINITY): Promise<Health | null> {
  const client = openClient({ home, mesh, retryMsMax: 0 })
  const answerMs = Math.ceil(Math.max(1, Math.min(healthMsMax, deadline - performance.now())))
  try {
    return await client.health({ signal: AbortSignal.timeout(answerMs) })
  } catch (error) {
    if (error instanceof MeshError && isSilence[error.code] === true) return null
    if (error instanceof DOMException && error.name === 'TimeoutError') return null
    throw error
  } finally {
    await client.close()
  }
}

/** Longer than a healthy daemon takes even on a busy host. */
const healthMsMax = 3_000
/** Answers that mean that the daemon is not there, or not there any more. */
const isSilence: Readonly<Partial<Record<MeshError['code'], true>>> = {
  daemon_unreachable: true,
  shutting_down: true,
  timeout: true,
}

function readPid(path: string): number | null {
  if (!existsSync(path)) return null
  const text = readFileSync(path, 'utf8').trim()
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : null
}
