/** Messages about shared spaces to other members, through the outbox like any others: durable, in order, sealed. */
import {
  encodeEnvelope,
  MeshError,
  type Priority,
  requestFingerprint,
  type SpaceMail,
  spaceMailMeta,
} from '@claudemesh/protocol'
import type { OutboxDraft } from '../outbox/outbox.ts'

export interface SpacePostOptions {
  readonly outbox: { accept(draft: OutboxDraft): Promise<unknown> }
  readonly wake: () => void
  readonly nextId: () => string
  /** Bytes of a body that the broker takes. */
  readonly bytesMax: () => number
}

export class SpacePost {
  readonly #o: SpacePostOptions

  constructor(o: SpacePostOptions) {
    this.#o = o
  }

  /** @throws MeshError `decision_too_large`, `insufficient_storage`, `storage_failed` */
  async send(memberId: string, mail: SpaceMail): Promise<void> {
    const { outbox, wake, nextId, bytesMax } = this.#o
    const body = Buffer.from(mail.body)
    if (body.length > bytesMax()) {
      throw new MeshError('decision_too_large', {
        detail: `The append has ${body.length} bytes, and one of a space that is shared may have ${bytesMax()}.`,
        data: { bytes: body.length, bytes_max: bytesMax() },
      })
    }
    const id = nextId()
    const destination = { kind: 'dm', ref: memberId } as const
    const priority: Priority = 'now'
    const metaCanonicalJson = spaceMailMeta(mail)
    await outbox.accept({
      ...{ id, clientMessageId: id, priority, replyToId: null, mentions: [], addressed: memberId, receipts: false },
      requestFingerprint: requestFingerprint({ destination, replyToId: null, priority, metaCanonicalJson, body }),
      destinationKind: destination.kind,
      destinationRef: destination.ref,
      payload: encodeEnvelope({ metaCanonicalJson, body }),
      messageBytes: body.length,
    })
    wake()
  }
}
