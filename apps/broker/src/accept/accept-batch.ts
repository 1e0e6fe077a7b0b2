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
import { limits, type SendItem, type SendResult, wireFingerprint } from '@claudemesh/protocol'
import type { Runtime } from '../runtime.ts'
import { dedupeExpiry, type MeshSettings } from '../settings.ts'
import type { QueueKey } from '../store/queues.ts'
import type { RateLimiter } from '../store/rates.ts'
import type { Accepted, MemberKey, MessageKey } from '../store/rows.ts'
import type { AcceptItem, AcceptOutcome, Store } from '../store/store.ts'
import { answerKnown, answerOutcome, refuse } from './results.ts'

/** One message and who sends it. The sender has been authenticated. */
export interface Submission {
  readonly sender: MemberKey & { readonly settings: MeshSettings }
  readonly item: SendItem
}

export interface AcceptDependencies {
  readonly store: Store
  readonly rates: RateLimiter
  readonly runtime: Runtime
  /** Bytes of the largest message body. */
  readonly inlineBytes: number
  /** Told of each member for whom something waits now. */
  readonly wake: (member: MemberKey) => void
  /** Told of each queue in which so many more messages wait now. */
  readonly wakeQueue: (key: QueueKey, messages: number) => void
  /** Told of each failure that the sender only sees as a 5xx. */
  readonly report: (error: unknown) => void
}

/** @returns one result per submission, in their order */
export async function acceptBatch(
  dependencies: AcceptDependencies,
  submissions: readonly Submission[],
): Promise<readonly SendResult[]> {
  const { store } = dependencies
  const results: (SendResult | undefined)[] = submissions.map(() => undefined)
  const judged: Candidate[] = []

  // B0
  const known = await store.findAccepted(submissions.map(keyOf))
  for (const [index, submission] of submissions.entries()) {
    const message = readMessage(submission.item)
    const accepted = known[index] ?? null
    if (accepted !== null) {
      results[index] = answerRetry(submission, message, accepted)
      continue
    }
    // B1
    const verdict = judge(dependencies, submission, message)
    if (verdict.ok) judged.push({ index, item: verdict.item })
    else results[index] = verdict.result
  }
  const candidates = await limit(dependencies, judged, results)

  // B2 and B3
  const outcomes = await store.acceptBatch(candidates.map((candidate) => candidate.item))
  for (const [position, { index, item }] of candidates.entries()) {
    const outcome = outcomes[position]
    if (outcome === undefined) throw new Error('the store returns one outcome per item')
    if (outcome.kind === 'failed') dependencies.report(outcome.error)
    results[index] = answerOutcome(item, outcome)
  }

  wakeAll(dependencies, candidates, outcomes)
  return results.map(assertResult)
}

/** One that goes into the transaction unless it is refused before, and where its result belongs. */
interface Candidate {
  readonly index: number
  readonly item: AcceptItem
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

type Verdict = { readonly ok: true; readonly item: AcceptItem } | { readonly ok: false; readonly result: SendResult }

/** B1: everything that can be said without the transaction, but for the rate limit. */
function judge(dependencies: AcceptDependencies, submission: Submission, message: ReceivedMessage): Verdict {
  const { item, sender } = submission
  const { sealed, fingerprint } = message
  const id = item.client_message_id
  if (sealed.length > dependencies.inlineBytes + limits.sealedOverheadBytesMax) {
    return { ok: false, result: refuse(id, 'payload_too_large') }
  }
  if (!message.isAsClaimed) return { ok: false, result: refuse(id, 'fingerprint_mismatch') }
  const now = dependencies.runtime.now()
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
      brokerMessageId: dependencies.runtime.nextId(),
      acceptedAt: now,
      dedupeExpiresAt: dedupeExpiry(sender.settings, now),
    },
  }
}

/** The end of B1: what is refused for anything else costs nothing. @returns those within the limits */
async function limit(
  { rates }: AcceptDependencies,
  judged: readonly Candidate[],
  results: (SendResult | undefined)[],
): Promise<readonly Candidate[]> {
  const verdicts = await rates.take(judged.map(({ item }) => item))
  return judged.filter(({ index, item }, position) => {
    const verdict = verdicts[position]
    if (verdict === undefined) throw new Error('the limiter returns one verdict per key')
    if (verdict.ok) return true
    results[index] = refuse(item.clientMessageId, 'rate_limited', { retry_after_ms: verdict.retryAfterMs })
    return false
  })
}

function keyOf({ sender, item }: Submission): MessageKey {
  return { meshId: sender.meshId, sender: sender.memberId, clientMessageId: item.client_message_id }
}

/** After the commit: each member and queue for which something waits is told once, however much it is. */
function wakeAll(
  { wake, wakeQueue }: AcceptDependencies,
  candidates: readonly Candidate[],
  outcomes: readonly AcceptOutcome[],
): void {
  const reached = new Map<string, Reached>()
  for (const [position, { item }] of candidates.entries()) {
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

function assertResult(result: SendResult | undefined): SendResult {
  if (result === undefined) throw new Error('every submission has a result')
  return result
}
