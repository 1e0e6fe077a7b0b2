/** What a daemon is given from outside. */
import type { DestinationStream } from 'pino'
import type { ConfigSources } from './config/config.ts'
import type { Runtime } from './runtime.ts'

/** Where log lines go. */
export interface LogDestination extends DestinationStream {
  /** Lines that could not be written. */
  readonly dropped: number
  close(): void
}

export interface DaemonParts {
  readonly sources: ConfigSources
  /** The program and first arguments that run the CLI, to bring up the local broker. */
  readonly selfCommand: readonly string[]
  readonly runtime: Runtime
  /** Called once the directory is this daemon's own, with the path of its log file. */
  readonly openLogDestination: (path: string) => LogDestination
  /** A socket that a service manager has opened; null: the daemon opens its own. */
  readonly listenFd: number | null
}
