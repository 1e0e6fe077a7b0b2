/**
 * For whom a message is sealed (05 §4): the member of a dm, the active subscribers of a topic.
 *
 * 1. Looking up asks nobody and waits for nobody: what is not known is asked for in the background, once per destination
 *    however many rows want it, and whoever waits is told.
 * 2. Only members whose chain was verified here are sealed for, and none that is revoked.
 * 3. There is no such recipient only if a directory that was read after the question does not have it.
 * 4. A set of subscribers is the broker's word with the epoch that it is of. When a change is heard of, it is dropped;
 *    when a change is not heard of, the broker refuses the epoch.
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
  recipientAsksMax,
  recipientFindingsMax,
  recipientsAbsentMs,
  recipientsRetryMs,
  recipientsWaitMs,
} from '../limits.ts'
import type { Log } from '../log.ts'
import type { TopicRecipients } from '../members/topic-recipients.ts'
import type { Runtime } from '../runtime.ts'
import { Findings } from './findings.ts'
import type { SkippedRecipients } from './skipped-recipients.ts'

/** The part of the directory that sealing needs. */
interface RecipientDirectory {
  findById(
    memberId: string,
  ): { readonly memberId: string; readonly boxKey: string; readonly status: 'active' | 'revoked' } | null
  readonly recipientSets: {
    find(topic: string): TopicRecipients | null
    save(topic: string, recipients: TopicRecipients): void
    drop(topic: string): void
  }
}

export type RecipientsLookUp =
  /** `epoch` is null when the destination has none. */
  | { readonly kind: 'known'; readonly members: readonly Recipient[]; readonly epoch: number | null }
  /** They have been asked for. */
  | { readonly kind: 'asked'; readonly waitMs: number }
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
  /** Destinations for which the broker gave no answer; not asked for again at once. */
  readonly #unanswered: Findings<Destination>

  constructor(options: RecipientsOptions) {
    this.#options = options
    const { monotonicMs } = options.runtime
    const kept = { monotonicMs, countMax: recipientFindingsMax }
    this.#refusals = new Findings({ ...kept, lifeMs: recipientsAbsentMs })
    this.#absent = new Findings({ ...kept, lifeMs: recipientsAbsentMs })
    this.#unanswered = new Findings({ ...kept, lifeMs: recipientsRetryMs })
  }

  lookUp(destination: Destination): RecipientsLookUp {
    return destination.kind === 'topic' ? this.#lookUpTopic(destination) : this.#lookUpMember(destination)
  }

  /** What was not answered on an earlier connection is asked for again by the rows that wait for it. */
  linkOpened(): void {
    for (const destination of this.#unanswered.drain()) this.#options.onAnswered(destination)
  }

  /** The subscribers of a topic have changed, or may have: they are asked for again before anything is sealed. */
  drop(destination: Destination): void {
    if (destination.kind !== 'topic') return
    const key = keyOf(destination)
    this.#options.members.recipientSets.drop(destination.ref)
    this.#refusals.forget(key)
    const asking = this.#asking.get(key)
    if (asking !== undefined) asking.isOutdated = true
  }

  #lookUpMember(destination: Destination): RecipientsLookUp {
    const memberId = destination.ref
    const member = this.#options.members.findById(memberId)
    if (member?.status === 'active') return { kind: 'known', members: [member], epoch: null }
    if (member?.status === 'revoked') return refuse('member_revoked', `${memberId} is no longer a member of this mesh`)
    if (this.#absent.has(memberId)) return refuse('recipient_unknown', `no member has the id ${memberId}`)
    return this.#ask(destination, () => this.#readDirectory([memberId]))
  }

  #lookUpTopic(destination: Destination): RecipientsLookUp {
    const known = this.#options.members.recipientSets.find(destination.ref)
    if (known !== null) return { kind: 'known', members: this.#verified(known.memberIds), epoch: known.epoch }
    const reason = this.#refusals.get(keyOf(destination))
    if (reason !== null) return { kind: 'refused', reason }
    return this.#ask(destination, () => this.#readSubscribers(destination))
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

  #ask(destination: Destination, read: () => Promise<void>): RecipientsLookUp {
    const key = keyOf(destination)
    const isAsked = this.#asking.has(key)
    if (isAsked) return { kind: 'asked', waitMs: recipientsWaitMs }
    const mustWait = this.#unanswered.has(key) || this.#asking.size >= recipientAsksMax
    if (mustWait) return { kind: 'asked', waitMs: recipientsRetryMs }
    this.#asking.set(key, { isOutdated: false })
    void this.#answer(destination, read)
    return { kind: 'asked', waitMs: recipientsWaitMs }
  }

  async #answer(destination: Destination, read: () => Promise<void>): Promise<void> {
    const { log, onAnswered } = this.#options
    const key = keyOf(destination)
    try {
      await read()
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
    onAnswered(destination)
  }

  /** A set that changed while it was read is read again, a few times: after that the broker refuses what is stale. */
  async #readSubscribers(destination: Destination): Promise<void> {
    const { members, request } = this.#options
    const topic = destination.ref
    const asking = this.#asking.get(keyOf(destination))
    for (let left = rereadsMax; ; left -= 1) {
      if (asking !== undefined) asking.isOutdated = false
      const answer = await request('topics.recipients', { topic })
      const unknown = answer.members.filter((id) => members.findById(id) === null && !this.#absent.has(id))
      if (unknown.length > 0) await this.#readDirectory(unknown)
      if (asking?.isOutdated === true && left > 0) continue
      members.recipientSets.save(topic, { epoch: answer.recipients_epoch, memberIds: answer.members })
      return
    }
  }

  async #readDirectory(wanted: readonly string[]): Promise<void> {
    await this.#options.refreshDirectory()
    for (const memberId of wanted) {
      if (this.#options.members.findById(memberId) === null) this.#absent.add(memberId, true)
    }
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
