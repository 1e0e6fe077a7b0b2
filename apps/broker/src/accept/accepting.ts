/**
 * Accepting (02 §9), top to bottom: B0 is the id known? B1 may the message be taken at all? B2 is its id claimed, and
 * does its destination exist? B3 everything it needs is stored. B2 and B3 are one transaction of the store.
 *
 * 1. A dedupe row is there if and only if the message was stored: no refusal leaves one, for good or for now.
 * 2. B0 comes before anything that can fail or count. A retry of a send that was accepted is answered 200 whatever has
 *    changed since: limits, sizes, members, topics. It is a retry by its bytes: the fingerprint that the sender claims
 *    is believed of no message, known or new.
 * 3. Items have outcomes of their own; none is worse off for its neighbours.
 * 4. Live pushes happen after the commit and only then.
 */
import assert from 'node:assert/strict'
import { limits, type SendItem, type SendResult, spaceOf, wireFingerprint } from '@claudemesh/protocol'
import type { Metrics } from '../metrics.ts'
import type { Runtime } from '../runtime.ts'
import { dedupeExpiry, type MeshSettings } from '../settings.ts'
import type { QueueKey } from '../store/queues.ts'
import type { RateLimiter } from '../store/rates.ts'
import type { Accepted, MemberKey, MessageKey } from '../store/rows.ts'
import type { SpaceAppend } from '../store/spaces.ts'
import type { AcceptItem, AcceptOutcome, Store } from '../store/store.ts'
import { Batcher } from './batcher.ts'
import { answerKnown, answerOutcome, refuse } from './results.ts'

/** One message and who sends it. The sender has been authenticated. */
export interface Submission {
  readonly sender: MemberKey & { readonly settings: MeshSettings }
  readonly item: SendItem
  /** What it relies on, of an append to a space. Absent: a message like any other. */
  readonly append?: SpaceAppend
}

export interface AcceptOptions {
  readonly store: Store
  readonly rates: RateLimiter
  readonly runtime: Runtime
  /** Bytes of the largest message body. */
  readonly inlineBytes: number
  /** Told of each member for whom something waits now. */
  readonly wake: (member: MemberKey) => void
  /** Told of each queue in which so many more messages wait now. */
  readonly wakeQueue: (key: QueueKey, messages: number) => void
  readonly metrics: Pick<Metrics['histograms'], 'accept_seconds' | 'accept_batch_items'>
  /** Messages that go into one transaction. */
  readonly itemsMax: number
  /** Told of each failure that the sender only sees as a 5xx. */
  readonly report: (error: unknown) => void
}

/** What is decided before the transaction: the item that goes into it, or the result. */
type Verdict = { readonly ok: true; readonly item: AcceptItem } | { readonly ok: false; readonly result: SendResult }

/**
 * Two stages, each with one batch under way: while a batch is stored, those that came after it are judged. A repetition of
 * a message that is just being stored is not known to B0 yet; B2, which waits for its turn, knows it.
 */
export class Accepting {
  readonly #options: AcceptOptions
  readonly #judging: Batcher<Submission, Verdict>
  readonly #storing: Batcher<AcceptItem, AcceptOutcome>
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(options: AcceptOptions) {
    this.#options = options
    const { itemsMax } = options
    this.#judging = new Batcher({ work: (submissions) => this.#judge(submissions), itemsMax })
    this.#storing = new Batcher({ work: (items) => this.#store(items), itemsMax })
  }

  /** @returns one result per submission of this frame, in their order */
  submit(submissions: readonly Submission[]): Promise<readonly SendResult[]> {
    return this.#follow(this.#accept(submissions))
  }

  /** Takes an append to a space: as any message, but for its B2, which is about the lease as well, and has no neighbours. */
  append(submission: Submission & { readonly append: SpaceAppend }): Promise<SendResult> {
    return this.#follow(this.#append(submission))
  }

  /** Resolves when nothing waits and nothing is under way. */
  async drain(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
  }

  #follow<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    const end = (): void => void this.#underWay.delete(work)
    work.then(end, end)
    return work
  }

  async #append(submission: Submission & { readonly append: SpaceAppend }): Promise<SendResult> {
    const [verdict] = await this.#judging.submit([submission])
    assert(verdict !== undefined, 'there is one verdict per submission')
    if (!verdict.ok) return verdict.result
    const { item } = verdict
    const outcome = await this.#options.store.appendToSpace(item, submission.append)
    if (outcome.kind === 'lease_lost') return refuse(item.clientMessageId, 'lease_lost')
    wakeAll(this.#options, [item], [outcome])
    return answerOutcome(item, outcome)
  }

  async #accept(submissions: readonly Submission[]): Promise<readonly SendResult[]> {
    const stop = this.#options.metrics.accept_seconds.startTimer()
    const verdicts = await this.#judging.submit(submissions)
    const items = verdicts.flatMap((verdict) => (verdict.ok ? [verdict.item] : []))
    const outcomes = items.length === 0 ? [] : await this.#storing.submit(items)
    stop()
    let next = 0
    return verdicts.map((verdict) => {
      if (!verdict.ok) return verdict.result
      const outcome = outcomes[next++]
      assert(outcome !== undefined, 'the store returns one outcome per item')
      return answerOutcome(verdict.item, outcome)
    })
  }

  /** B0 and B1. */
  async #judge(submissions: readonly Submission[]): Promise<readonly Verdict[]> {
    const { store, inlineBytes, runtime } = this.#options
    const known = await store.findAccepted(submissions.map(keyOf))
    const verdicts = submissions.map((submission, index): Verdict => {
      const message = readMessage(submission.item)
      const accepted = known[index] ?? null
      if (accepted !== null) return { ok: false, result: answerRetry(submission, message, accepted) }
      return judge(submission, message, { inlineBytes, runtime })
    })
    return this.#limit(verdicts)
  }

  /** The end of B1: what is refused for anything else costs nothing. */
  async #limit(verdicts: readonly Verdict[]): Promise<readonly Verdict[]> {
    const limited = await this.#options.rates.take(verdicts.flatMap((verdict) => (verdict.ok ? [verdict.item] : [])))
    let next = 0
    return verdicts.map((verdict) => {
      if (!verdict.ok) return verdict
      const limit = limited[next++]
      assert(limit !== undefined, 'the limiter returns one verdict per key')
      if (limit.ok) return verdict
      const { clientMessageId } = verdict.item
      return { ok: false, result: refuse(clientMessageId, 'rate_limited', { retry_after_ms: limit.retryAfterMs }) }
    })
  }

  /** B2 and B3. */
  async #store(items: readonly AcceptItem[]): Promise<readonly AcceptOutcome[]> {
    const { store, metrics, report } = this.#options
    metrics.accept_batch_items.observe(items.length)
    const outcomes = await store.acceptBatch(items)
    for (const outcome of outcomes) if (outcome.kind === 'failed') report(outcome.error)
    wakeAll(this.#options, items, outcomes)
    return outcomes
  }
}

/** What arrived of a message, and the fingerprint that its bytes have. */
interface ReceivedMessage {
  readonly sealed: Buffer
  readonly fingerprint: Buffer
  /** Whether the sender claims the same one. */
  readonly isAsClaimed: boolean
}

function readMessage(item: SendItem): ReceivedMessage {
  const { destination, priority, reply_to: replyToId } = item
  const sealed = Buffer.from(item.sealed, 'base64')
  const fingerprint = wireFingerprint({ destination, replyToId, priority, sealed })
  return { sealed, fingerprint, isAsClaimed: fingerprint.toString('hex') === item.wire_fingerprint }
}

function answerRetry({ item }: Submission, message: ReceivedMessage, accepted: Accepted): SendResult {
  const clientMessageId = item.client_message_id
  if (!message.isAsClaimed) return refuse(clientMessageId, 'fingerprint_mismatch')
  return answerKnown({ clientMessageId, fingerprint: message.fingerprint }, accepted)
}

/** B1: everything that can be said without the transaction, but for the rate limit. */
function judge(
  { item, sender, append }: Submission,
  message: ReceivedMessage,
  { inlineBytes, runtime }: Pick<AcceptOptions, 'inlineBytes' | 'runtime'>,
): Verdict {
  const { sealed, fingerprint } = message
  const id = item.client_message_id
  if (sealed.length > inlineBytes + limits.sealedOverheadBytesMax) {
    return { ok: false, result: refuse(id, 'payload_too_large') }
  }
  if (!message.isAsClaimed) return { ok: false, result: refuse(id, 'fingerprint_mismatch') }
  if (append === undefined && spaceOf(item.destination) !== null) {
    return { ok: false, result: refuse(id, 'topic_reserved') }
  }
  const now = runtime.now()
  return {
    ok: true,
    item: {
      // Not `...keyOf`: an object that begins with a spread takes longer to make than the rest of B1 together.
      meshId: sender.meshId,
      sender: sender.memberId,
      clientMessageId: id,
      fingerprint,
      destination: item.destination,
      replyTo: item.reply_to,
      priority: item.priority,
      recipientsEpoch: item.recipients_epoch,
      mentions: item.mentions ?? [],
      receipts: item.receipts,
      sealed,
      brokerMessageId: runtime.nextId(),
      acceptedAt: now,
      dedupeExpiresAt: dedupeExpiry(sender.settings, now),
    },
  }
}

function keyOf({ sender, item }: Submission): MessageKey {
  return { meshId: sender.meshId, sender: sender.memberId, clientMessageId: item.client_message_id }
}

/** After the commit: each member and queue for which something waits is told once, however much it is. */
function wakeAll(
  { wake, wakeQueue }: AcceptOptions,
  items: readonly AcceptItem[],
  outcomes: readonly AcceptOutcome[],
): void {
  const reached = new Map<string, Reached>()
  for (const [position, item] of items.entries()) {
    const outcome = outcomes[position]
    if (outcome?.kind !== 'stored') continue
    let inMesh = reached.get(item.meshId)
    if (inMesh === undefined) {
      inMesh = { members: new Set(), queues: new Map() }
      reached.set(item.meshId, inMesh)
    }
    const { kind, ref } = item.destination
    if (kind === 'queue') inMesh.queues.set(ref, (inMesh.queues.get(ref) ?? 0) + 1)
    for (const memberId of outcome.recipients) inMesh.members.add(memberId)
  }
  for (const [meshId, { members, queues }] of reached) {
    for (const [queue, messages] of queues) wakeQueue({ meshId, queue }, messages)
    for (const memberId of members) wake({ meshId, memberId })
  }
}

/** What accepted messages reach in one mesh. */
interface Reached {
  readonly members: Set<string>
  /** How many messages each queue got. */
  readonly queues: Map<string, number>
}
