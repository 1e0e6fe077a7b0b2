/**
 * Shares, step by step (06 §17). A step is recorded when it is done, in one transaction with what it keeps or forgets; who
 * takes the steps goes on from the last one that is recorded.
 *
 * 1. The key of a share is made with it and lies in a place of its own: not in the log, not in a view, not in a dump. It
 *    is forgotten by the transaction that records that it is of no more use here.
 * 2. Recording a step twice is recording it once. So is taking in the same message.
 *
 * It carries no bytes and talks to nobody.
 */
import { isUlid } from '@claudemesh/protocol'
import { ArtifactError } from '../artifact-error.ts'
import type { CanonicalMap } from '../canon/value.ts'
import type { Limits } from '../config/limits.ts'
import type { Session, Tx } from '../db/spi.ts'
import { payloadOf } from '../events/event.ts'
import type { EventLog } from '../events/event-log.ts'
import { findEvent } from '../events/statements.ts'
import { type Asked, answerOnce, findKeptAnswer } from '../registry/answers/idempotency.ts'
import { checkActor, checkIdempotencyKey, checkLimit, checkName, checkText } from '../registry/input.ts'
import { type Page, toPage } from '../registry/reading.ts'
import type { Runtime } from '../runtime.ts'
import { newBlobSecret } from '../seal/seal-blob.ts'
import { checkCount, checkOffered, checkSealed } from './input.ts'
import { contentOf, contentPayload, sealedOf, sealedPayload } from './payloads.ts'
import {
  type IncomingShare,
  type OfferedShare,
  type OutgoingShare,
  type SealedContent,
  type Share,
  toShare,
} from './share.ts'
import { findShareable } from './shareable.ts'
import {
  findReceived,
  findSecret,
  findShare,
  forgetSecret,
  insertSecret,
  pageShares,
  type ShareFilter,
  type ShareRow,
} from './statements.ts'
import { isMoveDue, type ShareEvent } from './states.ts'

export interface NewShare {
  /** A file, or a finalized package. */
  readonly what: { readonly fileId: string } | { readonly packageId: string }
  /** The member it goes to, or `#` and the name of a topic. */
  readonly peer: string
  /** What the recipient sees; that of the file or package unless another is given. */
  readonly name?: string
  /** What is said with it; kept apart from the log, and forgotten when it was said. */
  readonly message?: string
  /** Milliseconds since the epoch, UTC. */
  readonly expiresAt: number
  readonly actor: string
  readonly once?: AskedOnce
}

/** How a caller says that it asks for the same again. */
export interface AskedOnce {
  readonly key: string
  /** Everything of the request that makes it this one. */
  readonly request: CanonicalMap
}

const messageBytesMax = 1024 * 1024

export class Shares {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #limits: Limits

  constructor(o: { readonly log: EventLog; readonly runtime: Runtime; readonly limits: Limits }) {
    this.#log = o.log
    this.#runtime = o.runtime
    this.#limits = o.limits
  }

  /**
   * Resolves to share something, with a new key.
   *
   * @throws ArtifactError `file_not_found`, `package_not_found`, `not_finalized`, `invalid_request`,
   *   `idempotency_key_reused`
   */
  async create(o: NewShare): Promise<Share> {
    const actor = checkActor(o.actor)
    const message = o.message === undefined ? null : checkText('message', o.message, messageBytesMax)
    const peer = checkName('peer', o.peer, this.#limits)
    const expiresAt = checkCount('expiresAt', o.expiresAt)
    const found = await findShareable(this.#log, o.what)
    const name = o.name === undefined ? found.content.name : checkName('name', o.name, this.#limits)
    const content = { ...found.content, name }
    const shareId = this.#runtime.nextId()
    const secret = { ...newBlobSecret(), message }
    const clientMessageId = `share-${shareId}`
    const { package_id, file_id } = found
    const answer = await this.#log.submit({
      addresses: [content.contentAddress],
      run: (tx) =>
        answerOnce(tx, this.#asked(o.once), async () => {
          await insertSecret(tx, { shareId, secret, at: this.#runtime.now() })
          const payload = { package_id, file_id, peer, client_message_id: clientMessageId, expires_at: expiresAt }
          await this.#write(tx, 'v1.share.created', { shareId, actor, ...contentPayload(content), ...payload })
          return { shareId }
        }),
    })
    return this.find(answer.shareId)
  }

  /** What was answered to the same request before. @returns null: nothing @throws ArtifactError `idempotency_key_reused` */
  async findAnswered(once: AskedOnce): Promise<Share | null> {
    const answer = await this.#log.read((session) =>
      findKeptAnswer<{ readonly shareId: string }>(session, this.#asked(once)),
    )
    return answer === null ? null : this.find(answer.shareId)
  }

  /** All ciphertext is at the relay, for these members. @throws ArtifactError `share_not_found`, `share_expired` */
  uploaded(
    shareId: string,
    o: { readonly sealed: SealedContent; readonly recipients: readonly string[]; readonly actor: string },
  ): Promise<void> {
    const payload = { ...sealedPayload(checkSealed(o.sealed)), recipients: o.recipients }
    return this.#move(shareId, 'v1.share.uploaded', { actor: o.actor, payload })
  }

  /** The message is kept by the outbox. @throws ArtifactError `share_not_found`, `share_expired` */
  sent(shareId: string, o: { readonly actor: string }): Promise<void> {
    return this.#move(shareId, 'v1.share.sent', { actor: o.actor, payload: {}, isKeyNeeded: false })
  }

  /**
   * Takes in what a message offered, once.
   *
   * @returns the share, under its sender's id unless another one has that here
   * @throws ArtifactError `invalid_request`, `invalid_content_address`
   */
  async receive(o: OfferedShare): Promise<Share> {
    const offered = checkOffered(o, this.#limits)
    const { shareId } = await this.#log.submit({
      addresses: [offered.content.contentAddress],
      run: async (tx) => {
        const known = await findReceived(tx, offered.peer, offered.clientMessageId)
        if (known !== null) return { shareId: known.share_id }
        const isTaken = (await findShare(tx, offered.shareId)) !== null
        const shareId = isTaken ? this.#runtime.nextId() : offered.shareId
        const secret = { key: offered.key, nonce: null, message: null }
        await insertSecret(tx, { shareId, secret, at: this.#runtime.now() })
        const { actor, peer, clientMessageId, content, sealed, expiresAt } = offered
        const payload = { peer, client_message_id: clientMessageId, expires_at: expiresAt }
        const told = { ...contentPayload(content), ...sealedPayload(sealed), ...payload }
        await this.#write(tx, 'v1.share.received', { shareId, actor, ...told })
        return { shareId }
      },
    })
    return this.find(shareId)
  }

  /** What was shared is here, as a finalized package. @throws ArtifactError `share_not_found`, `share_expired` */
  fetched(
    shareId: string,
    o: { readonly packageId: string; readonly fileId: string | null; readonly actor: string },
  ): Promise<void> {
    const payload = { package_id: o.packageId, file_id: o.fileId }
    return this.#move(shareId, 'v1.share.fetched', { actor: o.actor, payload, isKeyNeeded: false })
  }

  /** Nothing more is done for a share; its key is forgotten. @throws ArtifactError `share_not_found` */
  revoke(shareId: string, o: { readonly reason?: string; readonly actor: string }): Promise<void> {
    const reason = o.reason === undefined ? null : checkText('reason', o.reason, this.#limits.reasonLengthMax)
    return this.#move(shareId, 'v1.share.revoked', { actor: o.actor, payload: { reason }, isKeyNeeded: false })
  }

  /** @throws ArtifactError `share_not_found` */
  async find(shareId: string): Promise<Share> {
    return toShare(await this.#log.read((session) => requireShare(session, shareId)))
  }

  /** In the order of their ids. @throws ArtifactError `invalid_cursor`, `invalid_request` */
  async list(o: ShareFilter & { readonly after?: string; readonly limit?: number } = {}): Promise<Page<Share>> {
    const { after = '', limit: asked, ...filter } = o
    if (after !== '' && !isUlid(after)) throw new ArtifactError('invalid_cursor')
    const limit = checkLimit(asked, this.#limits)
    const rows = await this.#log.read((session) => pageShares(session, { filter, after, limit: limit + 1 }))
    return toPage(rows, limit, toShare, ({ share_id }) => share_id)
  }

  /** All that is needed to take the next step of a share that was created here. @throws ArtifactError `share_not_found` */
  outgoing(shareId: string): Promise<OutgoingShare> {
    return this.#log.read(async (session) => {
      const share = toShare(await requireShare(session, shareId))
      const created = await requirePayload(session, shareId, 'v1.share.created')
      const uploaded = await findPayload(session, shareId, 'v1.share.uploaded')
      const secret = await findSecret(session, shareId)
      return {
        share,
        content: contentOf(created),
        secret: secret === null || secret.nonce === null ? null : { ...secret, nonce: secret.nonce },
        uploaded:
          uploaded === null
            ? null
            : { sealed: sealedOf(uploaded), recipients: uploaded['recipients'] as readonly string[] },
      }
    })
  }

  /** All that is needed to fetch a share that was received. @throws ArtifactError `share_not_found` */
  incoming(shareId: string): Promise<IncomingShare> {
    return this.#log.read(async (session) => {
      const share = toShare(await requireShare(session, shareId))
      const received = await requirePayload(session, shareId, 'v1.share.received')
      const secret = await findSecret(session, shareId)
      return { share, content: contentOf(received), sealed: sealedOf(received), key: secret?.key ?? null }
    })
  }

  #asked(once: AskedOnce | undefined): Asked {
    const { key, request } = once ?? { key: null, request: {} }
    const checked = key === null ? null : checkIdempotencyKey(key)
    return { key: checked, operation: 'share', request, now: this.#runtime.now() }
  }

  async #move(
    shareId: string,
    event: ShareEvent,
    o: { readonly actor: string; readonly payload: CanonicalMap; readonly isKeyNeeded?: false },
  ): Promise<void> {
    const actor = checkActor(o.actor)
    // Nobody else moves it meanwhile: whoever does holds the lock of what is shared.
    const { contentAddress } = await this.find(shareId)
    await this.#log.submit({
      addresses: [contentAddress],
      run: async (tx) => {
        const share = await requireShare(tx, shareId)
        if (!isMoveDue(event, share)) return
        if (o.isKeyNeeded === false) await forgetSecret(tx, shareId)
        await this.#write(tx, event, { shareId, actor, ...o.payload })
      },
    })
  }

  async #write(
    tx: Tx,
    event: ShareEvent,
    { shareId, actor, ...payload }: CanonicalMap & { readonly shareId: string; readonly actor: string },
  ): Promise<void> {
    const subject = { subject_kind: 'share' as const, subject_id: shareId }
    await this.#log.write(tx, [{ event_type: event, ...subject, actor, payload: { share_id: shareId, ...payload } }])
  }
}

/** @throws ArtifactError `share_not_found` */
async function requireShare(session: Session, shareId: string): Promise<ShareRow> {
  const row = typeof shareId === 'string' ? await findShare(session, shareId) : null
  if (row === null) throw new ArtifactError('share_not_found')
  return row
}

async function findPayload(session: Session, shareId: string, type: ShareEvent): Promise<CanonicalMap | null> {
  const event = await findEvent(session, { kind: 'share', id: shareId, type })
  return event === null ? null : payloadOf(event)
}

/** A share of the other direction has no such event, and is none that was asked for. */
async function requirePayload(session: Session, shareId: string, type: ShareEvent): Promise<CanonicalMap> {
  const payload = await findPayload(session, shareId, type)
  if (payload === null) throw new ArtifactError('share_not_found')
  return payload
}
