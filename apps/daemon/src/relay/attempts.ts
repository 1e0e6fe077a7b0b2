import { setTimeout as pause } from 'node:timers/promises'
import { type ErrorCode, MeshError } from '@claudemesh/protocol'
import { backoffCeilingMs } from '../backoff.ts'
import { relayAttemptsMax, relayBackoffMsBase, relayBackoffMsCap } from '../limits.ts'
import type { Log } from '../log.ts'

/** What another attempt, with another ticket and from where the other side is, may mend, though no unchanged request would. */
const mendable: ReadonlySet<ErrorCode> = new Set(['ticket_invalid', 'upload_offset_mismatch', 'request_timeout'])
/** What can be tried later, but not within the seconds that this takes. */
const lasting: ReadonlySet<ErrorCode> = new Set(['blob_quota_exceeded', 'insufficient_storage'])

/** The attempts of one transfer: those in a row that move nothing become rarer, and have an end. */
export class Attempts {
  readonly #o: {
    readonly address: string
    readonly signal: AbortSignal
    readonly random: () => number
    readonly log: Log
  }
  #failures = 0
  #best = 0
  #hasBegunAnew = false

  constructor(o: {
    readonly address: string
    readonly signal: AbortSignal
    /** From 0 up to 1. */
    readonly random: () => number
    readonly log: Log
  }) {
    this.#o = o
  }

  /** So many bytes are on the other side. */
  reached(bytes: number): void {
    if (bytes <= this.#best) return
    this.#best = bytes
    this.#failures = 0
  }

  /** Waits until another attempt may be made. @throws the error, or the reason of the signal, when none is */
  async failed(error: unknown): Promise<void> {
    const { address, signal, random, log } = this.#o
    signal.throwIfAborted()
    const fault = toMeshError(error)
    this.#failures += 1
    if (!this.#mayMend(fault) || this.#failures >= relayAttemptsMax) throw fault
    log.debug({ address, code: fault.code, failures: this.#failures }, 'blob_attempt_failed')
    const ceiling = { baseMs: relayBackoffMsBase, capMs: relayBackoffMsCap, attempts: this.#failures - 1 }
    await pause(Math.ceil(random() * backoffCeilingMs(ceiling)), undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
  }

  #mayMend({ code, retryable }: MeshError): boolean {
    if (code === 'digest_mismatch') {
      // Two brokers that took bytes of it at once spoil it, once; bytes that are wrong here are so again.
      const isFirst = !this.#hasBegunAnew
      this.#hasBegunAnew = true
      return isFirst
    }
    return mendable.has(code) || (retryable && !lasting.has(code))
  }
}

/** What the network says is of no use to anybody else. */
function toMeshError(error: unknown): MeshError {
  if (error instanceof MeshError) return error
  const detail = error instanceof Error ? error.message : String(error)
  return new MeshError('broker_unavailable', { detail: `the relay cannot be reached: ${detail}`, cause: error })
}
