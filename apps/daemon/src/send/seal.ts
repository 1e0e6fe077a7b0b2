/**
 * Seals rows: from what was accepted to the bytes that travel, and their fingerprint (02 §3, 05 §4). Called once per row,
 * before its first transmission, and again only when the recipients have changed.
 *
 * 1. Nothing of a row leaves this host in another form: what a claim freezes comes from here.
 * 2. It is sealed for the recipients and for the sender itself, whose own other devices and later readings open it; with
 *    as many recipients as a message can have, for these alone.
 * 3. A subscriber with a key that nobody can seal to gets nothing, and is counted; it keeps nobody else from it.
 * 4. A row that cannot be sealed says why, or that its recipients are being asked for. It never throws for either.
 */
import { type Destination, type ErrorCode, limits, MeshError, wireFingerprint } from '@claudemesh/protocol'
import { type Recipient, seal } from '@claudemesh/sealing'
import type { OwnBoxKeys } from '../box-keys.ts'
import type { SealableRow, SealedMessage, SealPostponement, SealRefusal } from '../outbox/outbox.ts'
import { errorText } from './outcome-table.ts'
import type { KnownRecipients, RecipientsLookUp } from './recipients.ts'
import type { SkippedRecipients } from './skipped-recipients.ts'

/** What becomes of one row that is to be sealed. */
export type SealOutcome = SealedMessage | SealRefusal | SealPostponement

export interface SealerOptions {
  readonly meshId: string
  /** Member id of this host. */
  readonly selfId: string
  readonly boxKeys: OwnBoxKeys
  readonly recipients: {
    lookUp(destination: Destination): RecipientsLookUp
    findKnown(destination: Destination): KnownRecipients | null
  }
  readonly skipped: SkippedRecipients
  /** Cryptographically secure. */
  readonly randomBytes: (length: number) => Buffer
}

export class Sealer {
  readonly #options: SealerOptions

  constructor(options: SealerOptions) {
    this.#options = options
  }

  /** Seals a row whose recipients are known already; null: it is for `seal` to say what becomes of it. */
  sealForKnown(row: SealableRow): SealedMessage | null {
    const known = this.#options.recipients.findKnown(destinationOf(row))
    const outcome = known === null ? null : this.#sealFor(row, known)
    return outcome !== null && 'sealed' in outcome ? outcome : null
  }

  seal(row: SealableRow): SealOutcome {
    const found = this.#options.recipients.lookUp(destinationOf(row))
    switch (found.kind) {
      case 'known':
        return this.#sealFor(row, found)
      case 'asked':
        return { postponedMs: found.waitMs }
      case 'nobody':
        return { postponedMs: found.waitMs, reason: found.reason }
      case 'refused':
        return { refused: found.reason }
      default:
        return found satisfies never
    }
  }

  #sealFor(row: SealableRow, found: KnownRecipients): SealedMessage | SealRefusal {
    const { keys } = this.#options.boxKeys.current
    const [recipient] = found.members
    if (row.destinationKind === 'dm' && recipient !== undefined && keys.keyFor(recipient.boxKey) === null) {
      const code: ErrorCode = 'recipient_key_unusable'
      return { refused: `${code}: ${recipient.memberId} has a key that nobody can seal to` }
    }
    for (const { memberId, boxKey } of found.members) {
      if (keys.keyFor(boxKey) === null) this.#options.skipped.note(memberId, 'key_unusable')
      else this.#options.skipped.clear(memberId, 'key_unusable')
    }
    try {
      return this.#freeze(row, found)
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      return { refused: errorText({ code: error.code, detail: error.message }) }
    }
  }

  #freeze(row: SealableRow, found: KnownRecipients): SealedMessage {
    const { meshId, selfId, boxKeys, randomBytes } = this.#options
    const { epoch, publicKey, keys } = boxKeys.current
    if (row.payload === null) throw new Error('a row without contents cannot be sealed')
    const destination = destinationOf(row)
    const { replyToId, priority } = row
    const sealed = seal({
      header: {
        meshId,
        sender: selfId,
        senderEpoch: epoch,
        clientMessageId: row.clientMessageId,
        destination,
        replyTo: replyToId,
        priority,
        recipientsEpoch: found.epoch,
      },
      plaintext: row.payload,
      recipients: [...found.members, { memberId: selfId, boxKey: publicKey }].slice(0, sealedForMax(found.members)),
      keys,
      random: randomBytes,
    })
    const fingerprint = wireFingerprint({ destination, replyToId, priority, sealed })
    return { sealed, wireFingerprint: fingerprint, recipientsEpoch: found.epoch }
  }
}

/** The sender gives way to a last recipient, and to nobody beyond the limit: that is refused. */
function sealedForMax(members: readonly Recipient[]): number {
  return Math.max(members.length, limits.recipientsMax)
}

function destinationOf(row: SealableRow): Destination {
  return { kind: row.destinationKind, ref: row.destinationRef }
}
