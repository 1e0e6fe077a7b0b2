/**
 * Asks `pre-send` whether a send may be accepted. It says yes by ending with 0. Where it says nothing, since it cannot run,
 * is killed or takes too long, the send is refused for now: a gate that is broken is shut.
 */
import { type Destination, MeshError, type SendRequest } from '@claudemesh/protocol'
import type { HookConfig } from './hooks-file.ts'
import type { Pool } from './pool.ts'
import type { Execution, HookRunner } from './runner.ts'
import { preSendName } from './triggers.ts'

/** What is about to be accepted. */
export interface OutgoingSend {
  readonly request: SendRequest
  /** Where `to` leads. */
  readonly destination: Destination
}

export interface PreSendOptions {
  readonly config: () => HookConfig
  readonly runner: HookRunner
  readonly pool: Pool
  readonly mesh: string
  readonly now: () => number
  readonly signal: AbortSignal
  /** Told of every run. */
  readonly onEnded: (execution: Extract<Execution, { kind: 'ended' }>) => void
}

const reasonCharactersMax = 256

/** @throws MeshError pre_send_refused | pre_send_unavailable | daemon_busy */
export async function askPreSend(send: OutgoingSend, o: PreSendOptions): Promise<void> {
  const { pool, runner } = o
  await pool.enter()
  try {
    const execution = await runner.execute(o.config(), { input: inputOf(send, o), subject: null, signal: o.signal })
    if (execution.kind === 'ended') o.onEnded(execution)
    judge(execution)
  } finally {
    pool.leave()
  }
}

function inputOf({ request, destination }: OutgoingSend, { mesh, now }: PreSendOptions) {
  const data = { ...request, destination_kind: destination.kind, destination_ref: destination.ref }
  return { hook: preSendName, event: 'send', event_id: null, at: now(), mesh, data }
}

function judge(execution: Execution): void {
  if (execution.kind === 'cannot') throw unavailable(execution.reason)
  const { ended, exitCode, signal, stdout } = execution.end
  if (ended === 'by_timeout') throw unavailable('it did not end in its time')
  if (exitCode === null) throw unavailable(`it was ended by ${signal}`)
  if (exitCode === 0) return
  const reason = readReason(stdout)
  throw new MeshError('pre_send_refused', {
    detail: reason ?? `the hook ended with ${exitCode}`,
    data: { exit_code: exitCode },
  })
}

function unavailable(reason: string): MeshError {
  return new MeshError('pre_send_unavailable', { detail: reason })
}

/** Of `{"reason": "..."}` on its standard output, as one line. */
function readReason(stdout: string): string | null {
  try {
    const answer = JSON.parse(stdout) as { reason?: unknown } | null
    const reason = answer !== null && typeof answer === 'object' ? answer.reason : undefined
    return typeof reason === 'string' && reason.trim() !== '' ? oneLine(reason) : null
  } catch {
    // Output for people.
    return null
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, reasonCharactersMax).toWellFormed()
}
