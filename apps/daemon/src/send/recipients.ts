/**
 * For whom a message is sealed (05 §4): the member of a dm, the active subscribers of a topic, the consumers of a queue.
 *
 * 1. Looking up asks nobody and waits for nobody: what is not known is asked for in the background, once per destination
 *    however many rows want it, and whoever waits is told.
 * 2. Only members whose chain was verified here are sealed for, and none that is revoked.
 * 3. There is no such recipient only if a directory that was read after the question does not have it.
 * 4. A set of subscribers is the broker's word with the epoch that it is of. When a change is heard of, it is dropped;
 *    when a change is not heard of, the broker refuses the epoch. So it is with the consumers of a queue.
 * 5. A queue that nobody consumes will have consumers: what is sent to it waits and says so. One row at a time looks for
 *    them, however many wait.
 */
import {
  type Destination,
  type ErrorCode,
  MeshError,
  type Operation,
  type RequestParams,
  type RequestResult,
} from '@claudemesh/protocol'
import type { Recipient } from '@claudemesh/sealing'
import {
  consumersLookMs,
  consumersWaitMs,
  recipientAsksMax,
  recipientFindingsMax,
  recipientsAbsentMs,
  recipientsRetryMs,
  recipientsWaitMs,
} from '../limits.ts'
import type { Log } from '../log.ts'
import type { RecipientSet } from '../members/recipient-sets.ts'
import type { Runtime } from '../runtime.ts'
import { Findings } from './findings.ts'
import type { SkippedRecipients } from './skipped-recipients.ts'

/** The part of the directory that sealing needs. */
interface RecipientDirectory {
  findById(
    memberId: string,
  ): { readonly memberId: string; readonly boxKey: string; readonly status: 'active' | 'revoked' } | null
  readonly recipientSets: {
    find(destination: Destination): RecipientSet | null
    save(destination: Destination, recipients: RecipientSet): void
    drop(destination: Destination): void
  }
}

export interface KnownRecipients {
  readonly kind: 'known'
  readonly members: readonly Recipient[]
  /** Null when the destination has none. */
  readonly epoch: number | null
}

export type RecipientsLookUp =
  | KnownRecipients
  /** They have been asked for. */
  | { readonly kind: 'asked'; readonly waitMs: number }
  /** There is nobody yet: an error code, a colon and why. */
  | { readonly kind: 'nobody'; readonly waitMs: number; readonly reason: string }
  /** Nothing can be sent there: an error code, a colon and why. */
  | { readonly kind: 'refused'; readonly reason: string }

export interface RecipientsOptions {
  readonly members: RecipientDirectory
  readonly request: <O extends Operation>(op: O, params: RequestParams<O>) => Promise<RequestResult<O>>
  /** Reads the directory anew. Rejects when the broker does not answer. */
  readonly refreshDirectory: () => Promise<void>
  /** What was asked for a destination has been answered. */
  readonly onAnswered: (destination: Destination) => void
  readonly skipped: SkippedRecipients
  readonly runtime: Runtime
  readonly log: Log
}

export class Recipients {
  readonly #options: RecipientsOptions
  /** Destinations that are being asked for, and whether what is being read may be out of date already. */
  readonly #asking = new Map<string, { isOutdated: boolean }>()
  /** Destinations to which nothing can be sent, and why. */
  readonly #refusals: Findings<string>
  /** Members whom a fresh directory did not have. */
  readonly #absent: Findings<true>
  /** Queues that have no consumers, with why, and when somebody is to look again. */
  readonly #unconsumed: Findings<{ readonly reason: string; lookAt: number }>
  /** Destinations for which the broker gave no answer; not asked for again at once. */
  readonly #unanswered: Findings<Destination>

  constructor(options: RecipientsOptions) {
    this.#options = options
    const { monotonicMs } = options.runtime
    const kept = { monotonicMs, countMax: recipientFindingsMax }
    this.#refusals = new Findings({ ...kept, lifeMs: recipientsAbsentMs })
    this.#absent = new Findings({ ...kept, lifeMs: recipientsAbsentMs })
    this.#unconsumed = new Findings({ ...kept, lifeMs: 2 * consumersWaitMs })
    this.#unanswered = new Findings({ ...kept, lifeMs: recipientsRetryMs })
  }

  /** Who is known already. Asks nobody and changes nothing; null: it is for `lookUp` to say what becomes of the message. */
  findKnown(destination: Destination): KnownRecipients | null {
    const { members } = this.#options
    if (destination.kind === 'dm') {
      const member = members.findById(destination.ref)
      return member?.status === 'active' ? { kind: 'known', members: [member], epoch: null } : null
    }
    const known = members.recipientSets.find(destination)
    if (known === null) return null
    const recipients = this.#verified(known.memberIds)
    // A queue that nobody consumes waits for consumers; a topic may have no subscribers.
    if (destination.kind === 'queue' && recipients.length === 0) return null
    return { kind: 'known', members: recipients, epoch: known.epoch }
  }

  lookUp(destination: Destination): RecipientsLookUp {
    const known = this.findKnown(destination)
    if (known !== null) return known
    switch (destination.kind) {
      case 'dm':
        return this.#lookUpMember(destination)
      case 'topic':
        return this.#lookUpTopic(destination)
      case 'queue':
        return this.#lookUpQueue(destination)
      default:
        return destination.kind satisfies never
    }
  }

  /** What was not answered on an earlier connection is asked for again by the rows that wait for it. */
  linkOpened(): void {
    for (const destination of this.#unanswered.drain()) this.#options.onAnswered(destination)
  }

  /** Subscribers or consumers have changed, or may have: they are asked for again before anything is sealed. */
  drop(destination: Destination): void {
    if (destination.kind === 'dm') return
    const key = keyOf(destination)
    this.#options.members.recipientSets.drop(destination)
    this.#refusals.forget(key)
    const asking = this.#asking.get(key)
    if (asking !== undefined) asking.isOutdated = true
  }

  #lookUpMember(destination: Destination): RecipientsLookUp {
    const memberId = destination.ref
    if (this.#options.members.findById(memberId)?.status === 'revoked')
      return refuse('member_revoked', `${memberId} is no longer a member of this mesh`)
    if (this.#absent.has(memberId)) return refuse('recipient_unknown', `no member has the id ${memberId}`)
    return this.#ask(destination, () => this.#readDirectory([memberId]))
  }

  #lookUpTopic(destination: Destination): RecipientsLookUp {
    const reason = this.#refusals.get(keyOf(destination))
    if (reason !== null) return { kind: 'refused', reason }
    return this.#ask(destination, () => this.#readSubscribers(destination))
  }

  #lookUpQueue(destination: Destination): RecipientsLookUp {
    const key = keyOf(destination)
    const refusal = this.#refusals.get(key)
    if (refusal !== null) return { kind: 'refused', reason: refusal }
    const nobody = this.#unconsumed.get(key)
    const now = this.#options.runtime.monotonicMs()
    if (nobody !== null && now < nobody.lookAt) {
      return { kind: 'nobody', waitMs: consumersWaitMs, reason: nobody.reason }
    }
    const asked = this.#ask(destination, () => this.#readConsumers(destination))
    if (nobody === null) return asked
    // This row comes back to look again, and surely not before its time; the others wait for what it finds.
    nobody.lookAt = now + consumersLookMs / 2
    return { kind: 'nobody', waitMs: consumersLookMs, reason: nobody.reason }
  }

  #verified(memberIds: readonly string[]): Recipient[] {
    const { members, skipped } = this.#options
    return memberIds.flatMap((memberId) => {
      const member = members.findById(memberId)
      if (member === null) skipped.note(memberId, 'unverifiable')
      else skipped.clear(memberId, 'unverifiable')
      return member?.status === 'active' ? [member] : []
    })
  }

  // ---- asking ------------------------------------------------------------------------------------------------------

  /** @param read resolves with whether that is news to the rows that wait */
  #ask(destination: Destination, read: () => Promise<boolean>): RecipientsLookUp {
    const key = keyOf(destination)
    const isAsked = this.#asking.has(key)
    if (isAsked) return { kind: 'asked', waitMs: recipientsWaitMs }
    const mustWait = this.#unanswered.has(key) || this.#asking.size >= recipientAsksMax
    if (mustWait) return { kind: 'asked', waitMs: recipientsRetryMs }
    this.#asking.set(key, { isOutdated: false })
    void this.#answer(destination, read)
    return { kind: 'asked', waitMs: recipientsWaitMs }
  }

  async #answer(destination: Destination, read: () => Promise<boolean>): Promise<void> {
    const { log, onAnswered } = this.#options
    const key = keyOf(destination)
    let isNews = true
    try {
      isNews = await read()
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      if (finalCodes.has(error.code)) {
        this.#refusals.add(key, `${error.code}: ${error.message}`)
      } else {
        // The rows come back by themselves and ask again.
        this.#unanswered.add(key, destination)
        log.warn({ kind: destination.kind, ref: destination.ref, err: error }, 'recipients_not_answered')
        return
      }
    } finally {
      this.#asking.delete(key)
    }
    if (isNews) onAnswered(destination)
  }

  async #readSubscribers(destination: Destination): Promise<boolean> {
    await this.#readSet(destination, () => this.#options.request('topics.recipients', { topic: destination.ref }))
    return true
  }

  async #readConsumers(destination: Destination): Promise<boolean> {
    const { members, request } = this.#options
    const key = keyOf(destination)
    const reason = await this.#findUnconsumed(destination, () =>
      this.#readSet(destination, () => request('queues.recipients', { queue: destination.ref })),
    )
    const before = this.#unconsumed.get(key)
    if (reason === null) {
      this.#unconsumed.forget(key)
      return true
    }
    members.recipientSets.drop(destination)
    this.#unconsumed.add(key, { reason, lookAt: before?.lookAt ?? this.#options.runtime.monotonicMs() })
    return before === null
  }

  /** @returns why nobody can be sealed for; null when somebody can */
  async #findUnconsumed({ ref }: Destination, read: () => Promise<RecipientSet>): Promise<string | null> {
    const code: ErrorCode = 'queue_without_consumers'
    try {
      const { memberIds } = await read()
      if (this.#verified(memberIds).length > 0) return null
      const why = memberIds.length === 0 ? 'nobody consumes it at present' : 'no consumer of it can be verified'
      return `${code}: ${why}: queue:${ref}`
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      if (error.code === 'queue_unknown') return `${code}: nobody has ever consumed queue:${ref}`
      // It does not know the call. Another one may come.
      if (error.code === 'not_found') return 'destination_unsupported: this broker has no work queues'
      throw error
    }
  }

  /** A set that changed while it was read is read again, a few times: after that the broker refuses what is stale. */
  async #readSet(
    destination: Destination,
    read: () => Promise<RequestResult<'topics.recipients' | 'queues.recipients'>>,
  ): Promise<RecipientSet> {
    const { members } = this.#options
    const asking = this.#asking.get(keyOf(destination))
    for (let left = rereadsMax; ; left -= 1) {
      if (asking !== undefined) asking.isOutdated = false
      const answer = await read()
      const unknown = answer.members.filter((id) => members.findById(id) === null && !this.#absent.has(id))
      if (unknown.length > 0) await this.#readDirectory(unknown)
      if (asking?.isOutdated === true && left > 0) continue
      const found = { epoch: answer.recipients_epoch, memberIds: answer.members }
      members.recipientSets.save(destination, found)
      return found
    }
  }

  async #readDirectory(wanted: readonly string[]): Promise<boolean> {
    await this.#options.refreshDirectory()
    for (const memberId of wanted) {
      if (this.#options.members.findById(memberId) === null) this.#absent.add(memberId, true)
    }
    return true
  }
}

const rereadsMax = 3

/** Answers of the broker after which asking again is of no use for a while. */
const finalCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['topic_unknown', 'too_many_recipients'])

function keyOf({ kind, ref }: Destination): string {
  return `${kind} ${ref}`
}

function refuse(code: ErrorCode, detail: string): RecipientsLookUp {
  return { kind: 'refused', reason: `${code}: ${detail}` }
}
