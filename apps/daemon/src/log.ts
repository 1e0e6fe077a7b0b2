/**
 * The daemon's log: JSON lines, one per state change, an event name plus ids. Never bodies, never secrets: the paths
 * below are removed from every line, whoever writes it, and errors are reduced to what helps a person.
 */
import { MeshError } from '@claudemesh/protocol'
import pino from 'pino'

export type Log = pino.Logger
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'
export const logLevels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']

/** The root logger and one child per subsystem. */
export interface DaemonLog {
  readonly root: Log
  readonly lifecycle: Log
  readonly ipc: Log
  readonly send: Log
  readonly link: Log
  readonly receive: Log
  readonly queues: Log
  readonly directory: Log
  readonly publish: Log
  readonly record: Log
  readonly sinks: Log
  readonly artifacts: Log
  readonly shares: Log
  readonly spaces: Log
  readonly hooks: Log
  setLevel(level: LogLevel): void
}

const secretNames = [
  'authorization',
  'token',
  'local_token',
  'seed',
  'secret',
  'signature',
  'message',
  'body',
  'meta',
  'payload',
  'sealed',
  'keys',
]

export function openLog(o: { level: LogLevel; destination: pino.DestinationStream; version: string }): DaemonLog {
  const root = pino(
    {
      level: o.level,
      base: { pid: process.pid, version: o.version },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`]), remove: true },
      // The name of the event is the message of a line, whichever way it was given.
      messageKey: 'event',
      serializers: { err: serializeError, error: serializeError },
    },
    o.destination,
  )
  const subsystems = {
    lifecycle: root.child({ subsystem: 'lifecycle' }),
    ipc: root.child({ subsystem: 'ipc' }),
    send: root.child({ subsystem: 'send' }),
    link: root.child({ subsystem: 'link' }),
    receive: root.child({ subsystem: 'receive' }),
    queues: root.child({ subsystem: 'queues' }),
    directory: root.child({ subsystem: 'directory' }),
    publish: root.child({ subsystem: 'publish' }),
    record: root.child({ subsystem: 'record' }),
    sinks: root.child({ subsystem: 'sinks' }),
    artifacts: root.child({ subsystem: 'artifacts' }),
    shares: root.child({ subsystem: 'shares' }),
    spaces: root.child({ subsystem: 'spaces' }),
    hooks: root.child({ subsystem: 'hooks' }),
  }
  return {
    root,
    ...subsystems,
    setLevel: (level) => {
      for (const log of [root, ...Object.values(subsystems)]) log.level = level
    },
  }
}

/** `detail`, not `message`: the redaction takes the latter for a body. */
interface LoggedError {
  readonly name: string
  readonly detail: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: LoggedError
}

const causeDepthMax = 4

/** What a log line keeps of an error. The data of a `MeshError` is left out: it is the caller's, not the operator's. */
function serializeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { name: typeof error, detail: String(error) }
  const code = error instanceof MeshError ? error.code : (error as { code?: unknown }).code
  return {
    name: error.name,
    detail: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth >= causeDepthMax ? {} : { cause: serializeError(error.cause, depth + 1) }),
  }
}
