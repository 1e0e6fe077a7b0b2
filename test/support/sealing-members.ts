/** Members who seal for each other with real keys, and without certificates: a name stands for a member id. */
import { randomBytes } from 'node:crypto'
import { type BoxKeyPair, generateBoxKeyPair } from '@claudemesh/identity'
import { type DeliveryItem, encodeEnvelope } from '@claudemesh/protocol'
import { PairwiseKeys, seal } from '@claudemesh/sealing'
import { OwnBoxKeys } from '../../apps/daemon/src/box-keys.ts'
import { makeOpener, type OpenMessage } from '../../apps/daemon/src/receive/open.ts'
import { memberIdOf, messageIdOf } from './inbox-drafts.ts'

/** What is to be sealed; what is left out is as `delivery` says. */
export interface SealedFields extends Partial<DeliveryItem> {
  readonly text?: string
  readonly metaCanonicalJson?: string
  /** Names. Default: `me`. */
  readonly for?: readonly string[]
}

export class SealingMembers {
  readonly meshId = '01HZ000000000000000000MESH'
  readonly #boxes = new Map<string, BoxKeyPair>()
  readonly #strangers = new Set<string>()

  /** The box key of a name, made when first asked for. */
  boxOf(name: string): BoxKeyPair {
    const box = this.#boxes.get(memberIdOf(name)) ?? generateBoxKeyPair()
    this.#boxes.set(memberIdOf(name), box)
    return box
  }

  /** From now on nobody knows the key of this member, until `introduce`. */
  estrange(name: string): void {
    this.#strangers.add(memberIdOf(name))
  }

  introduce(name: string): void {
    this.#strangers.delete(memberIdOf(name))
  }

  /** The directory of them all. */
  readonly boxKey = (memberId: string, epoch: number): string | null =>
    epoch > 0 || this.#strangers.has(memberId) ? null : (this.#boxes.get(memberId)?.publicKey ?? null)

  /** Opens as the member of this name does. */
  openerOf(name: string): OpenMessage {
    const boxKeys = new OwnBoxKeys({ box: this.boxOf(name), epoch: 0, archived: [] }, Date.now)
    return makeOpener({ meshId: this.meshId, boxKeys, members: this })
  }

  /** The n-th message, from alice to me unless told otherwise, sealed as what it claims to be. */
  delivery(n: number, fields: SealedFields = {}): DeliveryItem {
    const { text = `message ${n}`, metaCanonicalJson = '', for: recipients = ['me'], ...differing } = fields
    const item = {
      delivery_id: `d${n}`,
      broker_message_id: messageIdOf(n),
      history_id: String(n),
      client_message_id: `client-${n}`,
      sender: memberIdOf('alice'),
      destination: { kind: 'dm', ref: memberIdOf('me') },
      reply_to: null,
      priority: 'next',
      accepted_at: n,
      ...differing,
    } as const satisfies Omit<DeliveryItem, 'sealed'>
    if (differing.sealed !== undefined) return { ...item, sealed: differing.sealed }
    const plaintext = encodeEnvelope({ metaCanonicalJson, body: Buffer.from(text) })
    return { ...item, sealed: this.seal(item, { plaintext, recipients }).toString('base64') }
  }

  seal(
    item: Omit<DeliveryItem, 'sealed'>,
    o: { readonly plaintext: Uint8Array; readonly recipients: readonly string[] },
  ): Buffer {
    const box = this.#boxes.get(item.sender) ?? this.boxOf('alice')
    return seal({
      header: {
        meshId: this.meshId,
        sender: item.sender,
        senderEpoch: 0,
        clientMessageId: item.client_message_id,
        destination: item.destination,
        replyTo: item.reply_to,
        priority: item.priority,
        recipientsEpoch: null,
      },
      plaintext: o.plaintext,
      recipients: o.recipients.map((name) => ({ memberId: memberIdOf(name), boxKey: this.boxOf(name).publicKey })),
      keys: new PairwiseKeys({ box, max: 8 }),
      random: (length) => randomBytes(length),
    })
  }
}
