/** One run of a worker's command for one message. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { WorkMessage } from '@claudemesh/protocol'

export type JobEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: string }
  | { readonly kind: 'not_started'; readonly why: string }

export interface Job {
  readonly ended: Promise<JobEnd>
  /** Kills the command and whatever it has started, if it still runs. */
  kill(): void
}

/**
 * Runs a command with the body of a message on its stdin. It is the leader of a process group of its own: what interrupts
 * the worker at a terminal does not interrupt what the worker waits for.
 *
 * @param o.environment of the command, beside what it is told of the message
 */
export function startJob(o: {
  readonly command: readonly [string, ...string[]]
  readonly message: WorkMessage
  readonly environment: Readonly<Record<string, string | undefined>>
}): Job {
  const [program, ...args] = o.command
  const child = spawn(program, args, {
    stdio: ['pipe', 'inherit', 'inherit'],
    detached: true,
    env: { ...o.environment, ...messageVariables(o.message), ...traceVariables(o.message) },
  })
  const ended = new Promise<JobEnd>((resolve) => {
    child.once('error', (error) => resolve({ kind: 'not_started', why: error.message }))
    child.once('exit', (code, signal) =>
      resolve(code === null ? { kind: 'killed', signal: signal ?? 'unknown' } : { kind: 'exited', code }),
    )
  })
  // A command need not read what it is given.
  child.stdin.on('error', () => undefined)
  child.stdin.end(o.message.message)
  return { ended, kill: () => killGroup(child) }
}

/** What a command is told of its message beside the body. */
function messageVariables(message: WorkMessage): Readonly<Record<string, string>> {
  return {
    CLAUDEMESH_QUEUE: message.queue,
    CLAUDEMESH_MESSAGE_ID: message.id,
    CLAUDEMESH_CLIENT_MESSAGE_ID: message.client_message_id,
    CLAUDEMESH_SENDER: message.sender,
    CLAUDEMESH_SENDER_NAME: message.sender_name ?? '',
    CLAUDEMESH_DELIVERIES: String(message.deliveries),
    CLAUDEMESH_META: JSON.stringify(message.meta ?? {}),
  }
}

/** The trace of the message, and not the one that its worker is in: what the command sends belongs to it. */
function traceVariables({ traceparent, tracestate }: WorkMessage): Readonly<Record<string, string | undefined>> {
  return { TRACEPARENT: traceparent ?? undefined, TRACESTATE: tracestate ?? undefined }
}

/** Why a message goes back, for whoever looks at it when it is dead; null when it is done. */
export function failureOf(end: JobEnd): string | null {
  switch (end.kind) {
    case 'exited':
      return end.code === 0 ? null : `exit_${end.code}`
    case 'killed':
      return `killed_${end.signal}`
    case 'not_started':
      return 'not_started'
    default:
      return end satisfies never
  }
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended in this moment.
  }
}
