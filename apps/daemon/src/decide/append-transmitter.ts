/** Brings a proposal to the broker until that has said whether it was appended. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Proposal } from '@claudemesh/decisions'
import {
  type Destination,
  type ErrorCode,
  encodeEnvelope,
  isErrorCode,
  MeshError,
  type Priority,
  type SpaceMail,
  spaceMailMeta,
  spaceTopic,
} from '@claudemesh/protocol'
import type { SealableRow, SealedMessage } from '../outbox/outbox.ts'
import { decideLookMs } from '../space-limits.ts'
import type { BrokerRequest } from './authority.ts'

/** What becomes of a message that is to be sealed, as `Sealer.seal` says it. */
type SealOutcome = SealedMessage | { readonly refused: string } | { readonly postponedMs: number }

export interface AppendTransmitterOptions {
  readonly request: BrokerRequest
  readonly seal: (row: SealableRow) => SealOutcome
  /** The subscribers of the topic are other ones. */
  readonly dropRecipients: (destination: Destination) => void
}

/** The message that carries what is appended. */
export interface AppendMessage {
  readonly proposal: Proposal
  readonly epoch: number
  /** The head that it follows. */
  readonly after: number
  readonly mail: SpaceMail
}

/** Failures after which the same bytes are sent again: the broker was not reached, or will take them in a moment. */
const passing: ReadonlySet<ErrorCode> = new Set([
  ...(['broker_unavailable', 'timeout', 'daemon_busy', 'rate_limited', 'internal_error'] as const),
  ...(['storage_unavailable', 'storage_failed', 'insufficient_storage', 'topic_unknown'] as const),
])

export class AppendTransmitter {
  readonly #o: AppendTransmitterOptions

  constructor(o: AppendTransmitterOptions) {
    this.#o = o
  }

  /**
   * @returns false when it was refused because the lease is another one, or a message of its id was kept: then the head tells
   * @throws MeshError when it can never be taken, or the signal aborts
   */
  async transmit(message: AppendMessage, signal: AbortSignal): Promise<boolean> {
    const { proposal, epoch, after } = message
    const last = proposal.events.at(-1)
    if (last === undefined) throw new Error('a proposal has events')
    const clientMessageId = `decision-${last.event_id}`
    let sealed: (SealedMessage & { readonly recipientsEpoch: number }) | null = null
    for (;;) {
      signal.throwIfAborted()
      sealed ??= await this.#seal(message, clientMessageId, signal)
      try {
        await this.#o.request('spaces.append', {
          ...{ space: proposal.space, epoch, after, head: { seq: last.seq, event_id: last.event_id } },
          client_message_id: clientMessageId,
          wire_fingerprint: sealed.wireFingerprint.toString('hex'),
          recipients_epoch: sealed.recipientsEpoch,
          sealed: sealed.sealed.toString('base64'),
        })
        return true
      } catch (error) {
        if (!(error instanceof MeshError)) throw error
        if (error.code === 'lease_lost' || error.code === 'idempotency_key_reused') return false
        if (error.code === 'recipients_stale') {
          this.#o.dropRecipients(topicOf(proposal))
          sealed = null
        } else if (!passing.has(error.code)) {
          throw error
        }
      }
      if (sealed !== null) await pause(decideLookMs, undefined, { signal })
    }
  }

  async #seal(
    { proposal, mail }: AppendMessage,
    clientMessageId: string,
    signal: AbortSignal,
  ): Promise<SealedMessage & { readonly recipientsEpoch: number }> {
    const { kind: destinationKind, ref: destinationRef } = topicOf(proposal)
    const payload = encodeEnvelope({ metaCanonicalJson: spaceMailMeta(mail), body: Buffer.from(mail.body) })
    const priority: Priority = 'now'
    for (;;) {
      const row = { clientMessageId, destinationKind, destinationRef, replyToId: null, priority, payload }
      const outcome = this.#o.seal(row)
      if ('sealed' in outcome) {
        if (outcome.recipientsEpoch === null) throw new Error('the subscribers of a topic have an epoch')
        return { ...outcome, recipientsEpoch: outcome.recipientsEpoch }
      }
      if ('refused' in outcome) {
        const [code = ''] = outcome.refused.split(':')
        // The topic is made by the first subscription, which may be on its way.
        if (code !== 'topic_unknown') throw new MeshError(isErrorCode(code) ? code : 'internal_error')
        this.#o.dropRecipients(topicOf(proposal))
      }
      await pause(decideLookMs / 10, undefined, { signal })
    }
  }
}

function topicOf({ space }: Proposal): Destination {
  return { kind: 'topic', ref: spaceTopic(space) }
}
