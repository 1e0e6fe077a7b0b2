/** The daemon as a process: signals in, exit code out (03 §1). */
import { fstatSync, statSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { LogFile } from '@claudemesh/storage'
import { Daemon } from './daemon.ts'
import type { LogDestination } from './daemon-parts.ts'
import { type Departure, departureOf } from './lifecycle/exit.ts'
import { Supervisor, takeSupervisorTerms } from './lifecycle/supervisor.ts'
import { logFileBytesMax, logFilesKept, restAfterStartMs, shutdownMsMax } from './limits.ts'
import { systemRuntime } from './runtime.ts'

export { freezeStopped } from './compose/freeze.ts'
export { sendStopped } from './compose/send-stopped.ts'
export { type ConfigEntry, type ConfigOrigin, type ConfigSources, effectiveConfig } from './config/config.ts'
export { memoryShareBytes, sharesOf } from './config/fleet-settings.ts'
export { runningMeshes } from './lifecycle/fleet.ts'
export { acceptThisHost } from './operate/accept-host.ts'
export { backUp } from './operate/backup.ts'
export { forgetEphemeral, isEphemeralRemains } from './operate/forget-ephemeral.ts'
export { artifactsEngine, migrateArtifacts } from './operate/migrate-artifacts.ts'
export { recoverHome } from './operate/recover/recover.ts'
export { type Reminted, remint } from './operate/remint.ts'
export { type ResetEntry, resetMember } from './operate/reset.ts'
export { type Restored, restoreBackup } from './operate/restore.ts'
export { systemRuntime } from './runtime.ts'

export interface DaemonOptions {
  readonly home: string
  /** The slug of the mesh. */
  readonly mesh: string
  /** Settings that override file and environment, `section.key` to text. */
  readonly flags: Readonly<Record<string, string>>
  /** The program and first arguments that run the CLI, to bring up the local broker. */
  readonly selfCommand: readonly string[]
}

/**
 * Runs a daemon until it is told to stop or must leave.
 *
 * @returns the exit code: 0 after SIGTERM or SIGINT, else by sysexits
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { home, mesh, flags, selfCommand } = options
  const stop = stopSignal()
  const terms = takeSupervisorTerms(process.env, process.pid)
  let daemon: Daemon
  try {
    const sources = { home, mesh, flags }
    const parts = { sources, selfCommand, runtime: systemRuntime(), openLogDestination }
    daemon = await Daemon.open({ ...parts, listenFd: terms.listenFd })
  } catch (error) {
    tellOfFailure(error)
    return departureOf(error).exitCode
  }
  const supervisor = new Supervisor({ terms, socket: daemon.socket, log: daemon.log.lifecycle })
  supervisor.ready()
  process.on('SIGHUP', () => void daemon.reload())
  process.once('uncaughtException', (error) => abandon(daemon, error))
  setTimeout(collectWhatStartingLeft, restAfterStartMs).unref()
  const departure = await Promise.race([stop, daemon.left])
  if (departure !== null) {
    daemon.recordDeparture(departure)
    const { exitCode, name, reason } = departure
    daemon.log.lifecycle.error({ exit_code: exitCode, name, reason }, 'daemon_leaves')
  }
  supervisor.stopping()
  await withinShutdownTime(daemon.close())
  return departure?.exitCode ?? 0
}

/** Resolves with the first SIGTERM or SIGINT. A second one ends the process at once: a kill is a normal event. */
function stopSignal(): Promise<null> {
  return new Promise((resolve) => {
    let signals = 0
    for (const [signal, number] of [
      ['SIGTERM', 15],
      ['SIGINT', 2],
    ] as const) {
      process.on(signal, () => {
        signals += 1
        if (signals > 1) process.exit(128 + number)
        resolve(null)
      })
    }
  })
}

/** What is not closed by then is recovered by the next start like after any kill. */
async function withinShutdownTime(closing: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, shutdownMsMax)
  })
  await Promise.race([closing, over])
  clearTimeout(timer)
}

/**
 * What loading and starting left behind, a fifth of the memory, would stay for as long as the daemon has little to do.
 * Where Node was not started with `--expose-gc`, it does.
 */
function collectWhatStartingLeft(): void {
  globalThis.gc?.()
}

/** A mistake of ours: nothing that this process holds in memory is trusted any more. */
function abandon(daemon: Daemon, error: unknown): void {
  const departure: Departure = { ...departureOf(error), name: 'internal_error' }
  daemon.log.lifecycle.fatal({ err: error }, 'daemon_failed')
  daemon.recordDeparture(departure)
  process.exit(departure.exitCode)
}

/** There may be no log yet; stderr is the supervisor's, or the log file in the background. */
function tellOfFailure(error: unknown): void {
  const { name, reason, remedy } = departureOf(error)
  process.stderr.write(`claudemesh daemon: ${name}: ${reason}\n  -> ${remedy}\n`)
  if (!(error instanceof MeshError) && error instanceof Error) process.stderr.write(`${error.stack}\n`)
}

/**
 * In the foreground the log is stdout, for whoever supervises. In the background stdout already is the log file; then
 * it is written as that file, so that it can be rotated.
 */
function openLogDestination(path: string): LogDestination {
  if (isStdout(path)) return new LogFile({ path, bytesMax: logFileBytesMax, filesKept: logFilesKept })
  let dropped = 0
  process.stdout.on('error', () => {
    // Nobody reads any more. The daemon's work does not depend on being watched.
    dropped += 1
  })
  return {
    write: (line) => void process.stdout.write(line),
    get dropped() {
      return dropped
    },
    close: () => undefined,
  }
}

function isStdout(path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false })
  const stdout = fstatSync(1)
  return file !== undefined && file.ino === stdout.ino && file.dev === stdout.dev
}
