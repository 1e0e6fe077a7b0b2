/**
 * When a failed call is made again, and when.
 *
 * 1. A call is repeated only if doing it twice is the same as doing it once: reads, and sends with their key.
 * 2. A refused connection may be repeated for every call, since nothing was sent.
 * 3. The time that an answer names in Retry-After is a lower bound; jitter is added to it.
 */
import type { MeshError } from './protocol.ts'

export interface RetryPolicy {
  /** Milliseconds within which repeats begin. 0: a call is made once. */
  readonly retryMsMax: number
  /** Whether to go on within that time also while nobody listens at all. */
  readonly awaitDaemon: boolean
}

/** What is known of a failed call. */
export interface Failure {
  readonly error: MeshError
  /** Whether the request may have reached the daemon. */
  readonly reached: boolean
  /** From the answer, or null when it named none. */
  readonly retryAfterMs: number | null
}

export interface Attempt {
  readonly failure: Failure
  /** Whether any attempt of this call may have reached a daemon: one that was there a moment ago is waited for. */
  readonly everReached: boolean
  /** Calls made so far, at least 1. */
  readonly attempts: number
  readonly elapsedMs: number
  /** Whether the call may be made twice. */
  readonly repeatable: boolean
  /** In [0, 1). */
  readonly random: number
}

const backoffMsBase = 50
const backoffMsCap = 2_000

/** @returns milliseconds until the next attempt, or null when the failure is the answer */
export function retryDelayMs(policy: RetryPolicy, attempt: Attempt): number | null {
  const { failure } = attempt
  if (!isPassing(policy, attempt)) return null
  if (attempt.everReached && !attempt.repeatable) return null
  const ceiling = Math.min(backoffMsCap, backoffMsBase * 2 ** Math.min(attempt.attempts, 10))
  const delay = (failure.retryAfterMs ?? 0) + ceiling * (0.5 + attempt.random / 2)
  return attempt.elapsedMs + delay > policy.retryMsMax ? null : delay
}

function isPassing(policy: RetryPolicy, { failure, everReached }: Attempt): boolean {
  switch (failure.error.code) {
    case 'daemon_unreachable':
      return everReached || policy.awaitDaemon
    case 'daemon_busy':
    case 'too_many_requests':
    case 'busy':
    case 'rate_limited':
    case 'shutting_down':
      return true
    default:
      return false
  }
}
