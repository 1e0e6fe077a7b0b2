/**
 * What goes out: claims rows and hands them to the connection, in frames.
 *
 * 1. A row is handed over only after the commit of its claim, which froze its bytes.
 * 2. At most the broker's window of messages and bytes is unanswered; a single message larger than the window travels
 *    alone. One claim is at most one frame, so that sealing it does not keep everything else waiting.
 * 3. A row that cannot go out, because it cannot be sealed or because no frame of this broker can carry it, is dead with
 *    the reason and holds back no other. A row that the connection did not take is pending again.
 *
 * When to do it is the sender's business; what comes back is for answers.ts.
 */
import type { SendItem } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { claimRowsMax, inflightMessagesMax, sendAnswerMsMax, sendRetryMs } from '../limits.ts'
import type { ClaimedRow, ClaimOptions, Outbox } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'
import type { Answers } from './answers.ts'
import { cutFrames, fitsFrame, itemBytesMax, toSendItem } from './send-item.ts'
import type { Transmission, Transmissions } from './transmissions.ts'

/** What the broker allows on this connection. */
export interface SendWindow {
  readonly inflightMessages: number
  readonly inflightBytes: number
  readonly frameBytesMax: number
}

/** Hands one frame of items to the connection. False: it takes nothing now, and nothing of these was sent. */
export type Transmit = (items: readonly SendItem[]) => boolean

export interface TransmitterOptions {
  readonly outbox: Outbox
  readonly seal: ClaimOptions['seal']
  readonly transmit: Transmit
  readonly transmissions: Transmissions
  readonly answers: Answers
  readonly runtime: Runtime
}

/** `idle`: there was no room or no row. `sent`: there may be more. `full`: the connection takes nothing now. */
export type TransmitOutcome = 'idle' | 'sent' | 'full'

/** What becomes of rows that were claimed and could not be handed to the connection. */
type Unsent =
  | { readonly move: 'refused'; readonly lastError: string }
  | { readonly move: 'retry'; readonly delayMs: number; readonly lastError: string; readonly reseal: false }

export class Transmitter {
  readonly #o: TransmitterOptions
  #transmitted = 0

  constructor(options: TransmitterOptions) {
    this.#o = options
  }

  /** Messages that were handed to a connection since the process began, each attempt counted. */
  get transmitted(): number {
    return this.#transmitted
  }

  /**
   * Sends one claim of rows.
   *
   * @param now by the wall clock, for what is due
   * @throws MeshError `insufficient_storage` or `storage_failed`
   */
  transmitNext(window: SendWindow, now: number): TransmitOutcome {
    const { outbox, seal, transmissions, answers } = this.#o
    const roomForMessages = Math.min(window.inflightMessages, inflightMessagesMax) - transmissions.size
    if (roomForMessages <= 0) return 'idle'
    const roomForBytes = Math.min(window.inflightBytes - transmissions.bytes, window.frameBytesMax)
    const { rows, unsealable, postponed } = outbox.claim({
      now,
      rowsMax: Math.min(claimRowsMax, roomForMessages),
      // The window counts bytes in frames, where three sealed bytes are four characters.
      bytesMax: Math.max(0, Math.floor((roomForBytes * 3) / 4)),
      firstRegardless: transmissions.size === 0,
      seal,
    })
    for (const row of unsealable) answers.noteRefused(row)
    if (rows.length === 0) return unsealable.length + postponed === 0 ? 'idle' : 'sent'
    const isTaken = this.#handOver(rows, window)
    crashPoint('daemon.send.after-transmit')
    return isTaken ? 'sent' : 'full'
  }

  /** @returns false when the connection did not take everything */
  #handOver(rows: readonly ClaimedRow[], { frameBytesMax }: SendWindow): boolean {
    const answerBy = this.#o.runtime.monotonicMs() + sendAnswerMsMax
    const sendable: SendItem[] = []
    const tooLarge: Transmission[] = []
    for (const row of rows) {
      const item = toSendItem(row)
      const { id: outboxId, clientMessageId, attempts } = row
      const { destination } = item
      const isRestored = row.restoredAt !== null
      const bytes = itemBytesMax(item)
      const transmission = { outboxId, clientMessageId, destination, attempts, isRestored, bytes, answerBy }
      this.#o.transmissions.add(transmission)
      if (fitsFrame(item, frameBytesMax)) sendable.push(item)
      else tooLarge.push(transmission)
    }
    this.#settleUnsent(tooLarge, {
      move: 'refused',
      lastError: `payload_too_large: this broker takes frames of ${frameBytesMax} bytes`,
    })
    const frames = cutFrames(sendable, frameBytesMax)
    const refusedFrom = frames.findIndex((frame) => !this.#o.transmit(frame))
    const unsent = refusedFrom === -1 ? [] : frames.slice(refusedFrom).flat()
    this.#transmitted += sendable.length - unsent.length
    if (unsent.length === 0) return true
    this.#settleUnsent(
      unsent.flatMap((item) => this.#o.transmissions.find(item.client_message_id) ?? []),
      {
        move: 'retry',
        delayMs: sendRetryMs,
        lastError: 'broker_unavailable: the connection did not take the message',
        reseal: false,
      },
    )
    return false
  }

  /** Settles rows that were claimed and have not left this process. */
  #settleUnsent(transmissions: readonly Transmission[], settlement: Unsent): void {
    this.#o.answers.settle(transmissions.map(({ outboxId }) => ({ outboxId, ...settlement })))
    for (const transmission of transmissions) this.#o.transmissions.remove(transmission)
  }
}
