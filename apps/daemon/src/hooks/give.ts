/** Gives one event to one hook: the run, its reply, and what is recorded of both. */
import { setTimeout as pause } from 'node:timers/promises'
import { MeshError, type SendRequest, type TraceContext } from '@claudemesh/protocol'
import type { HookRunView } from '@claudemesh/protocol/hooks'
import type { StoredEvent } from '../events/events.ts'
import type { Log } from '../log.ts'
import type { Delivered } from './delivery.ts'
import type { HookConfig } from './hooks-file.ts'
import { hookRetryMs } from './limits.ts'
import type { ProcessEnd } from './process.ts'
import { readReply, replyRequest } from './reply.ts'
import type { HookRunner } from './runner.ts'
import { type HookEvent, type Subject, subjectOf } from './subject.ts'
import { executedEvent, type ReplyResult, toRunView } from './tally.ts'

export interface GiveOptions {
  readonly runner: HookRunner
  readonly mesh: string
  /** The event with all of its data: the stored one has no large body. */
  readonly complete: (event: StoredEvent) => HookEvent
  /** Accepts a send like any other. */
  readonly accept: (request: SendRequest, trace: TraceContext | null) => Promise<unknown>
  readonly onEnded: (run: HookRunView, stderr: string) => void
  readonly log: Log
}

const stopped: Delivered = { kind: 'wait', reason: 'the daemon stops' }

export async function giveEvent(
  config: HookConfig,
  { stored, signal }: { readonly stored: StoredEvent; readonly signal: AbortSignal },
  o: GiveOptions,
): Promise<Delivered> {
  const event = o.complete(stored)
  const subject = subjectOf(event)
  const { name: hook } = config
  const eventId = String(event.id)
  const input = { hook, event: event.type, event_id: eventId, at: event.at, mesh: o.mesh, data: event.data }
  const execution = await o.runner.execute(config, { input, subject, signal })
  if (execution.kind === 'cannot') return { kind: 'wait', reason: execution.reason }
  if (execution.end.ended === 'by_stop') return stopped
  const reply = await answer(config, { subject, end: execution.end, signal }, o)
  if (reply === null) return stopped
  const run = toRunView(execution, { hook, eventType: event.type, eventId, reply })
  o.onEnded(run, execution.end.stderr)
  return { kind: 'done', record: executedEvent(run) }
}

/** Sends what a hook answered, as long as it takes. @returns null when the daemon stopped before it was accepted */
async function answer(
  { name: hook, allowReply }: HookConfig,
  { subject, end, signal }: { readonly subject: Subject; readonly end: ProcessEnd; readonly signal: AbortSignal },
  { accept, log }: GiveOptions,
): Promise<ReplyResult | null> {
  const isWhole = end.exitCode === 0 && end.ended === 'by_itself'
  const text = allowReply && isWhole ? readReply(end) : null
  if (text === null) return 'none'
  const { answerTo } = subject
  if (answerTo === null) return 'refused'
  if (subject.isAutoReply) return 'suppressed'
  while (!signal.aborted) {
    try {
      await accept(replyRequest({ hook, subject, answerTo, text }), subject.trace)
      return 'sent'
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      // An earlier run for this event has answered with another text.
      if (error.code === 'idempotency_key_reused') return 'sent'
      log.warn({ hook, code: error.code, err: error }, 'hook_reply_not_accepted')
      if (!error.retryable) return 'refused'
    }
    await pause(hookRetryMs, undefined, { signal }).catch(() => undefined)
  }
  return null
}
