/**
 * One member's end of the wire, frame by frame: it does nothing by itself, so that a test decides what a daemon would
 * do, and what no daemon would.
 */
import { createHash } from 'node:crypto'
import { originOf, signHello } from '@claudemesh/identity'
import {
  type BrokerFrame,
  type Certificate,
  createIdSource,
  type DaemonFrame,
  type DeliveryItem,
  type DeliveryOutcome,
  type Destination,
  type Frame,
  type Operation,
  type Priority,
  type ReceiptItem,
  type RequestParams,
  type RequestResult,
  readBrokerFrame,
  type SendItem,
  type SendResult,
  wireFingerprint,
} from '@claudemesh/protocol'
import { WebSocket } from 'ws'
import type { MemberIdentity } from './raw-mesh.ts'

const nextId = createIdSource(() => Date.now())
const answerMsMax = 10_000

export interface Closing {
  readonly code: number
  /** The JSON reason, or the text when it is not JSON. */
  readonly reason: Readonly<Record<string, unknown>> | string
}

export class RawMember {
  readonly socket: WebSocket
  readonly #frames: BrokerFrame[] = []
  readonly #waiting = new Set<() => void>()
  #closing: Closing | null = null

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data) => {
      const reading = readBrokerFrame(data.toString())
      if (!reading.ok) throw new Error(`the broker sent a frame that is none: ${reading.detail}`)
      this.#frames.push(reading.frame)
      this.#look()
    })
    socket.on('close', (code, reason) => {
      this.#closing = { code, reason: parseReason(reason.toString()) }
      this.#look()
    })
    // What goes wrong is told by `close`, which follows.
    socket.on('error', () => undefined)
  }

  /** Opens a socket and does nothing more. */
  static dial(url: string): RawMember {
    return new RawMember(new WebSocket(url, 'claudemesh.v1', { perMessageDeflate: false }))
  }

  /** Opens a socket, says hello and negotiates as a daemon does. */
  static async connect(url: string, identity: MemberIdentity, changes: HelloChanges = {}): Promise<RawMember> {
    const member = RawMember.dial(url)
    await member.greet(url, identity, changes)
    await member.negotiate()
    return member
  }

  /** Answers the challenge and waits for the welcome. */
  async greet(url: string, identity: MemberIdentity, changes: HelloChanges = {}): Promise<Frame<'welcome'>> {
    const challenge = await this.next('challenge')
    this.send(makeHello({ url, nonce: challenge.nonce, identity, ...changes }))
    return this.next('welcome')
  }

  negotiate(require: readonly string[] = ['client_message_id_dedupe', 'concurrent_connection_policy']) {
    this.send({ type: 'feature_negotiation_request', require: [...require], optional: [] })
    return this.next('feature_negotiation_response')
  }

  send(frame: DaemonFrame): void {
    this.socket.send(JSON.stringify(frame))
  }

  sendText(text: string): void {
    this.socket.send(text)
  }

  /** Sends messages in one frame. @returns their results in the order of the messages */
  async post(items: readonly SendItem[]): Promise<readonly SendResult[]> {
    this.send({ type: 'send', items: [...items] })
    const { items: results } = await this.next('send_results')
    return results
  }

  /** Sends one message. */
  async postOne(item: SendItem): Promise<SendResult> {
    const [result] = await this.post([item])
    if (result === undefined) throw new Error('a result for every message')
    return result
  }

  async request<O extends Operation>(op: O, params: RequestParams<O>): Promise<RequestResult<O>> {
    const response = await this.call(op, params)
    if (response.status !== 200) throw new Error(`${op}: ${response.status} ${response.code} ${response.detail}`)
    return response.result as RequestResult<O>
  }

  /** A correlated call, whatever its outcome. */
  async call(op: string, params: object): Promise<Frame<'response'>> {
    const requestId = nextId()
    this.send({ type: 'request', request_id: requestId, op, params })
    return this.next('response', (frame) => frame.request_id === requestId)
  }

  /** Collects deliveries until there are as many as asked for, without acknowledging them. */
  async deliveries(count: number): Promise<readonly DeliveryItem[]> {
    const items: DeliveryItem[] = []
    while (items.length < count) items.push(...(await this.next('deliver')).items)
    return items
  }

  async receipts(count: number): Promise<readonly ReceiptItem[]> {
    const items: ReceiptItem[] = []
    while (items.length < count) items.push(...(await this.next('receipts')).items)
    return items
  }

  acknowledge(items: readonly { readonly delivery_id: string }[], outcome: DeliveryOutcome = 'stored'): void {
    for (let start = 0; start < items.length; start += 256) {
      const part = items.slice(start, start + 256)
      this.send({ type: 'deliver_ack', items: part.map(({ delivery_id }) => ({ delivery_id, outcome })) })
    }
  }

  /** The next frame of a type; frames of other types stay for whoever asks for them. */
  async next<T extends BrokerFrame['type']>(
    type: T,
    fits: (frame: Frame<T>) => boolean = () => true,
    withinMs: number = answerMsMax,
  ): Promise<Frame<T>> {
    const isWanted = (frame: BrokerFrame): frame is Frame<T> => frame.type === type && fits(frame as Frame<T>)
    const frame = await this.#wait(
      `a ${type} frame`,
      () => {
        const index = this.#frames.findIndex(isWanted)
        return index < 0 ? null : (this.#frames.splice(index, 1)[0] as Frame<T>)
      },
      withinMs,
    )
    return frame
  }

  /** Frames of a type that have arrived and were not asked for. */
  pending<T extends BrokerFrame['type']>(type: T): readonly Frame<T>[] {
    return this.#frames.filter((frame): frame is Frame<T> => frame.type === type)
  }

  /** Waits for the end of the connection. */
  closing(withinMs: number = answerMsMax): Promise<Closing> {
    return this.#wait('the close', () => this.#closing, withinMs, true)
  }

  get isClosed(): boolean {
    return this.#closing !== null
  }

  async close(): Promise<void> {
    if (this.#closing !== null) return
    this.socket.close()
    await this.closing()
  }

  /** Everything sent before was read by the broker, and everything it said by then has arrived here. */
  async settled(): Promise<void> {
    await this.call('members.list', { limit: 1 })
  }

  #look(): void {
    for (const attempt of [...this.#waiting]) attempt()
  }

  #wait<T>(what: string, look: () => T | null, withinMs: number, alsoClosed = false): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer)
        this.#waiting.delete(attempt)
        settle()
      }
      const attempt = () => {
        const found = look()
        if (found !== null) end(() => resolve(found))
        else if (this.#closing !== null && !alsoClosed) {
          const closing = JSON.stringify(this.#closing)
          end(() => reject(new Error(`waiting for ${what}, the connection was closed: ${closing}`)))
        }
      }
      const timer = setTimeout(() => {
        end(() => reject(new Error(`waited ${withinMs} ms in vain for ${what}`)))
      }, withinMs)
      this.#waiting.add(attempt)
      attempt()
    })
  }
}

/** What a test may change of a good hello. */
export interface HelloChanges {
  readonly instanceId?: string
  /** Makes the member ephemeral. */
  readonly ephemeralTtlMs?: number
  readonly origin?: string
  readonly chain?: readonly Certificate[]
  readonly memberId?: string
  readonly signature?: string
  /** The origin that is signed, when it shall differ from the one that is sent. */
  readonly signedOrigin?: string
}

export function makeHello(
  options: { readonly url: string; readonly nonce: string; readonly identity: MemberIdentity } & HelloChanges,
): Frame<'hello'> {
  const { identity, nonce } = options
  const origin = options.origin ?? originOf(options.url)
  const memberId = options.memberId ?? identity.memberId
  const { instanceId = nextId(), ephemeralTtlMs } = options
  const connection = {
    instance_id: instanceId,
    ...(ephemeralTtlMs === undefined ? {} : { ephemeral_ttl_ms: ephemeralTtlMs }),
  }
  const signature = signHello({
    origin: options.signedOrigin ?? origin,
    meshId: identity.mesh.mesh_id,
    memberId,
    nonce,
    options: connection,
    keys: identity.keys.signing,
  })
  return {
    type: 'hello',
    mesh: identity.mesh,
    member_id: memberId,
    chain: [...(options.chain ?? identity.chain)],
    daemon_version: '0.0.0',
    host_fingerprint: hostFingerprintOf(identity.memberId),
    origin,
    options: connection,
    signature: options.signature ?? signature,
  }
}

/** A member comes from the same host every time. */
export function hostFingerprintOf(memberId: string): string {
  return createHash('sha256').update(memberId).digest('hex')
}

/** A message with its fingerprint. */
export function message(options: {
  readonly to: Destination
  readonly text?: string
  readonly id?: string
  readonly sealed?: Buffer
  readonly priority?: Priority
  readonly receipts?: boolean
  readonly recipientsEpoch?: number | null
  readonly mentions?: readonly string[]
}): SendItem {
  const sealed = options.sealed ?? Buffer.from(options.text ?? 'hello', 'utf8')
  const priority = options.priority ?? 'next'
  const fingerprint = wireFingerprint({ destination: options.to, replyToId: null, priority, sealed })
  return {
    client_message_id: options.id ?? nextId(),
    wire_fingerprint: fingerprint.toString('hex'),
    destination: { kind: options.to.kind, ref: options.to.ref },
    reply_to: null,
    priority,
    recipients_epoch: options.recipientsEpoch ?? null,
    ...(options.mentions === undefined ? {} : { mentions: [...options.mentions] }),
    receipts: options.receipts ?? true,
    sealed: sealed.toString('base64'),
  }
}

/** What a delivery says, for messages made from text. */
export function textOf(item: { readonly sealed: string }): string {
  return Buffer.from(item.sealed, 'base64').toString('utf8')
}

function parseReason(text: string): Closing['reason'] {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>
  } catch {
    // Codes of the protocol carry JSON; those of the network carry nothing.
    return text
  }
}
