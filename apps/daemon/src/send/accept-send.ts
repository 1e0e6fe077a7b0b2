/**
 * `POST /v1/send`, from a request of the right form to its answer (02 §4).
 *
 * 1. A fault of the request itself is a 4xx before anything is stored; the id stays free.
 * 2. A fault of the moment (a name that leads nowhere now, a message larger than the broker takes now, a full disk) is
 *    an error only while the id has no row. A retry of what was accepted earlier gets the answer of the table, whatever
 *    has changed since: the caller asks what became of its send, and that is known.
 * 3. Where there is a hook `pre-send`, it is asked about what is new, and about nothing else.
 * 4. The answer is given after the commit, and a 2xx means that the row is on the disk.
 *
 * Authentication, the schema and the bound on requests in flight are the route's.
 */
import type {
  Destination,
  MeshError,
  SendRequest,
  SharedFiles,
  TopicPostRequest,
  TraceContext,
} from '@claudemesh/protocol'
import type { DiskPressure } from '@claudemesh/storage'
import type { Outbox } from '../outbox/outbox.ts'
import type { Runtime } from '../runtime.ts'
import { answerAccept, type SendAnswer } from './accept-table.ts'
import { readClientMessageId } from './content.ts'
import { addressedText, buildDraft } from './draft.ts'
import { type PreparedSend, SendPreparation } from './prepare.ts'
import type { MemberLookup, ResolvedNames } from './resolve.ts'
import { StateWaits, type WaitOptions } from './state-waits.ts'

export interface AcceptSendOptions {
  readonly outbox: Outbox
  readonly members: MemberLookup
  /** Reads members and topics from the broker again; rejects when it cannot be asked. */
  readonly refreshDirectory: () => Promise<void>
  readonly inlineBytes: () => number
  readonly diskPressure: () => DiskPressure
  readonly runtime: Runtime
  /** Asks somebody whether a new send may be accepted, and throws where it may not; null: nobody is to be asked. */
  readonly preSend: () => ((send: { request: SendRequest; destination: Destination }) => Promise<void>) | null
  /** Tells the sender that there is something to send. */
  readonly wake: () => void
}

export class AcceptSend {
  readonly #outbox: Outbox
  readonly #preparation: SendPreparation
  readonly #preSend: AcceptSendOptions['preSend']
  readonly #runtime: Runtime
  readonly #wake: () => void
  readonly #waits: StateWaits

  constructor(o: AcceptSendOptions) {
    this.#outbox = o.outbox
    this.#preparation = new SendPreparation(o)
    this.#preSend = o.preSend
    this.#runtime = o.runtime
    this.#wake = o.wake
    this.#waits = new StateWaits(o.outbox)
  }

  /**
   * @param headerKey the `Idempotency-Key` header as it came, or null
   * @param trace what the headers say of the trace that it belongs to
   * @throws MeshError for every answer that is not 200 or 202
   */
  accept(request: SendRequest, headerKey: string | null, trace: TraceContext | null = null): Promise<SendAnswer> {
    return this.#accept(request, headerKey, { toField: 'to', files: null, trace })
  }

  /** `POST /v1/topic/post`: the same path to a topic, named with or without `#`. */
  acceptTopicPost(
    request: TopicPostRequest,
    headerKey: string | null,
    trace: TraceContext | null = null,
  ): Promise<SendAnswer> {
    const { topic, ...rest } = request
    return this.#accept({ ...rest, to: topic.startsWith('#') ? topic : `#${topic}` }, headerKey, {
      toField: 'topic',
      files: null,
      trace,
    })
  }

  /** The message that a share goes out with: the same path, and what is shared under the reserved name. */
  acceptShare(request: SendRequest, files: SharedFiles): Promise<SendAnswer> {
    return this.#accept(request, null, { toField: 'to', files, trace: null })
  }

  /** Waits until a send has reached a state or the time is over, and answers with what is proven then. */
  awaitState(answer: SendAnswer, o: WaitOptions): Promise<SendAnswer> {
    return this.#waits.awaitState(answer, o)
  }

  async #accept(
    request: SendRequest,
    headerKey: string | null,
    {
      toField,
      files,
      trace,
    }: {
      readonly toField: string
      readonly files: SharedFiles | null
      readonly trace: TraceContext | null
    },
  ): Promise<SendAnswer> {
    const chosenId = readClientMessageId(headerKey, request.client_message_id)
    const preparation = this.#preparation.prepare(request, toField, files)
    const prepared = preparation instanceof Promise ? await preparation : preparation
    const { content, named, resolution } = prepared
    const fault = prepared.sizeFault ?? this.#preparation.findDiskFault() ?? (resolution.ok ? null : resolution.fault)
    if (fault !== null || !resolution.ok) return this.#answerDespite(fault, chosenId, prepared)

    const preSend = this.#preSend()
    if (preSend !== null && !this.#isAccepted(chosenId)) {
      await preSend({ request, destination: resolution.names.destination })
    }
    const draft = buildDraft({
      content,
      named,
      names: resolution.names,
      id: this.#runtime.nextId(),
      clientMessageId: chosenId ?? this.#runtime.nextId(),
      trace,
    })
    const outcome = await this.#outbox.accept(draft)
    if (outcome.inserted) this.#wake()
    return answerAccept(outcome, draft.requestFingerprint, (id) => this.#outbox.receipts(id))
  }

  #isAccepted(chosenId: string | null): boolean {
    return chosenId !== null && this.#outbox.getByClientMessageId(chosenId) !== null
  }

  /** Answers a retry of an accepted send although a new one could not be accepted now; throws the fault otherwise. */
  #answerDespite(fault: MeshError | null, chosenId: string | null, prepared: PreparedSend): SendAnswer {
    const row = chosenId === null ? null : this.#outbox.getByClientMessageId(chosenId)
    const names = row === null ? null : namesOf(prepared, row)
    if (row === null || names === null) throw fault ?? new Error('there is neither a fault nor a destination')
    const { requestFingerprint } = buildDraft({
      ...prepared,
      names,
      id: row.id,
      clientMessageId: row.clientMessageId,
    })
    return answerAccept({ inserted: false, row }, requestFingerprint, (id) => this.#outbox.receipts(id))
  }
}

/**
 * What the names of a request mean. Where the directory cannot tell any more, the row can, if its request named exactly
 * the same; with other names there is nothing to compute a fingerprint from.
 */
function namesOf(
  prepared: PreparedSend,
  row: {
    readonly addressed: string
    readonly destinationKind: ResolvedNames['destination']['kind']
    readonly destinationRef: string
    readonly mentions: readonly string[]
  },
): ResolvedNames | null {
  if (prepared.resolution.ok) return prepared.resolution.names
  if (row.addressed !== addressedText(prepared.named)) return null
  return { destination: { kind: row.destinationKind, ref: row.destinationRef }, mentions: row.mentions }
}
