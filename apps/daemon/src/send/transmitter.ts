/**
 * What goes out: claims rows and hands them to the connection, in frames.
 *
 * 1. A row is handed over only after the commit of its claim, which froze its bytes. Rows that accepts have claimed are
 *    handed over first: whatever else could be claimed was accepted after them.
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
import type { ClaimedRow, ClaimOptions, ClaimOutcome, Outbox } from '../outbox/outbox.ts'
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

/** A row on its way, and how it travels. */
interface Outgoing {
  readonly item: SendItem
  readonly transmission: Transmission
}

/** What becomes of rows that were claimed and could not be handed to the connection. */
type Unsent =
  | { readonly move: 'refused'; readonly lastError: string }
  | { readonly move: 'retry'; readonly delayMs: number; readonly lastError: string; readonly reseal: false }

export class Transmitter {
  readonly #o: TransmitterOptions
  /** Claimed by accepts, and not handed to the connection yet. */
  #taken: readonly Outgoing[] = []
  #transmitted = 0

  constructor(options: TransmitterOptions) {
    this.#o = options
  }

  /** Messages that were handed to a connection since the process began, each attempt counted. */
  get transmitted(): number {
    return this.#transmitted
  }

  /** What may be claimed now. */
  claimOptions(window: SendWindow, now: number): ClaimOptions {
    const { transmissions } = this.#o
    return this.#claimOptions(window, { now, messages: transmissions.size, bytes: transmissions.bytes })
  }

  /** Takes rows that accepts have claimed. They count as on their way from here on. */
  take(rows: readonly ClaimedRow[]): void {
    this.#taken = [...this.#taken, ...this.#prepare(rows)]
  }

  /** Their connection is gone: they are taken back with all others that are inflight. */
  dropTaken(): void {
    this.#taken = []
  }

  /**
   * Sends what accepts have claimed.
   *
   * @throws MeshError `insufficient_storage` or `storage_failed`
   */
  transmitTaken(window: SendWindow): TransmitOutcome {
    const taken = this.#taken
    if (taken.length === 0) return 'idle'
    this.#taken = []
    return this.#handOver(taken, window)
  }

  /**
   * Sends one claim of rows.
   *
   * @param now by the wall clock, for what is due
   * @throws MeshError `insufficient_storage` or `storage_failed`
   */
  transmitNext(window: SendWindow, now: number): TransmitOutcome {
    const { outbox } = this.#o
    const options = this.claimOptions(window, now)
    if (options.rowsMax <= 0) return 'idle'
    return this.#transmit(outbox.claim(options), window)
  }

  /** The same, and settles what has arrived in the same commit. The answered make room for as many others. */
  settleAndTransmitNext(window: SendWindow, now: number): TransmitOutcome {
    const { outbox, transmissions, answers } = this.#o
    const arrived = answers.judgeArrived()
    const messages = transmissions.size - arrived.answered.size
    const options = this.#claimOptions(window, { now, messages, bytes: transmissions.bytes - arrived.bytes })
    const { settlement, claim } = outbox.settleAndClaim(arrived.settlements, options)
    answers.conclude(arrived, settlement)
    return this.#transmit(claim, window)
  }

  /** @param o.messages that are on their way when this claim is made, and their bytes in frames */
  #claimOptions(
    window: SendWindow,
    o: { readonly now: number; readonly messages: number; readonly bytes: number },
  ): ClaimOptions {
    const roomForMessages = Math.min(window.inflightMessages, inflightMessagesMax) - o.messages
    const roomForBytes = Math.min(window.inflightBytes - o.bytes, window.frameBytesMax)
    return {
      now: o.now,
      rowsMax: Math.max(0, Math.min(claimRowsMax, roomForMessages)),
      // The window counts bytes in frames, where three sealed bytes are four characters.
      bytesMax: Math.max(0, Math.floor((roomForBytes * 3) / 4)),
      firstRegardless: o.messages === 0,
      seal: this.#o.seal,
    }
  }

  #transmit({ rows, unsealable, postponed }: ClaimOutcome, window: SendWindow): TransmitOutcome {
    for (const row of unsealable) this.#o.answers.noteRefused(row)
    if (rows.length === 0) return unsealable.length + postponed === 0 ? 'idle' : 'sent'
    return this.#handOver(this.#prepare(rows), window)
  }

  #prepare(rows: readonly ClaimedRow[]): readonly Outgoing[] {
    const answerBy = this.#o.runtime.monotonicMs() + sendAnswerMsMax
    return rows.map((row) => {
      const item = toSendItem(row)
      const { id: outboxId, clientMessageId, attempts } = row
      const { destination } = item
      const isRestored = row.restoredAt !== null
      const bytes = itemBytesMax(item)
      const transmission = { outboxId, clientMessageId, destination, attempts, isRestored, bytes, answerBy }
      this.#o.transmissions.add(transmission)
      return { item, transmission }
    })
  }

  #handOver(outgoing: readonly Outgoing[], window: SendWindow): TransmitOutcome {
    const isTaken = this.#send(outgoing, window)
    crashPoint('daemon.send.after-transmit')
    return isTaken ? 'sent' : 'full'
  }

  /** @returns false when the connection did not take everything */
  #send(outgoing: readonly Outgoing[], { frameBytesMax }: SendWindow): boolean {
    const sendable: SendItem[] = []
    const tooLarge: Transmission[] = []
    for (const { item, transmission } of outgoing) {
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
