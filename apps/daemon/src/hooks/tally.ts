/** What hooks did since the start: for metrics, for health, and for people who ask. */
import type { HookRunView } from '@claudemesh/protocol/hooks'
import type { NewEvent } from '../events/events.ts'
import { failuresTold, stderrBytesKept } from './limits.ts'
import type { Execution } from './runner.ts'

type Ended = Extract<Execution, { kind: 'ended' }>

export type RunResult = HookRunView['result']
/** `none`: it answered nothing. `suppressed`: what it answered to was an answer of a hook. */
export type ReplyResult = HookRunView['reply']

export interface LastRun extends HookRunView {
  /** The beginning of what it wrote there. */
  readonly stderr: string
}

/** Of one hook. */
export class HookTally {
  readonly runs = new Map<RunResult, number>()
  readonly replies = new Map<ReplyResult, number>()
  lastRun: LastRun | null = null
  /** Runs without the sandbox that was asked for. */
  unconfined = 0
  /** Events that were removed before it came to them, at most. */
  missed = 0
  /** In a row, up to now. */
  failures = 0

  get isFailing(): boolean {
    return this.failures >= failuresTold
  }

  note(run: HookRunView, stderr: string): void {
    this.runs.set(run.result, (this.runs.get(run.result) ?? 0) + 1)
    this.replies.set(run.reply, (this.replies.get(run.reply) ?? 0) + 1)
    this.failures = run.result === 'ok' ? 0 : this.failures + 1
    if (run.unconfined) this.unconfined += 1
    this.lastRun = { ...run, stderr: stderr.slice(0, stderrBytesKept) }
  }
}

export function toRunView(
  execution: Ended,
  o: {
    readonly hook: string
    readonly eventType: string
    readonly eventId: string | null
    readonly reply: ReplyResult
  },
): HookRunView {
  const { run, startedAt, end, truncated, sandbox, enforced, isUnconfined } = execution
  return {
    run,
    hook: o.hook,
    event: o.eventType,
    event_id: o.eventId,
    started_at: startedAt,
    duration_ms: end.durationMs,
    result: resultOf(end),
    exit_code: end.exitCode,
    signal: end.signal,
    stdout_bytes: end.stdoutBytes,
    truncated,
    reply: o.reply,
    sandbox,
    enforced: [...enforced],
    unconfined: isUnconfined,
  }
}

/** The line of the audit, as an event. */
export function executedEvent(run: HookRunView): NewEvent {
  return { type: 'hook_executed', data: run }
}

function resultOf({ ended, exitCode }: Ended['end']): RunResult {
  if (ended === 'by_timeout') return 'timeout'
  if (exitCode === null) return 'killed'
  return exitCode === 0 ? 'ok' : 'failed'
}
