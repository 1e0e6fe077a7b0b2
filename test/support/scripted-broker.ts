/** A broker that does what a test says: real WebSocket, real frames, real signatures, and no opinion of its own. */
import type { AddressInfo } from 'node:net'
import { originOf, verifyHello } from '@claudemesh/identity'
import { type BrokerFrame, type DaemonFrame, type Frame, readDaemonFrame } from '@claudemesh/protocol'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'

const waitMsMax = 10_000

export const brokerLimits = { inflight_messages: 100, inflight_bytes: 1_000_000, max_frame: 1024 * 1024 }
export const brokerFeatures: Readonly<Record<string, unknown>> = {
  client_message_id_dedupe: {
    version: 2,
    mode: 'retention_scoped',
    dedupe_retention_days: 30,
    request_fingerprint: true,
  },
  concurrent_connection_policy: { version: 1 },
  max_payload: { version: 1, inline_bytes: 65_536, blob_bytes: 1_048_576 },
}

/** What a broker answers to a request by itself; null leaves it to the test. */
export type AnswerRequest = (request: Frame<'request'>) => object | null

/** One connection of a daemon. */
export class ScriptedConnection {
  readonly socket: WebSocket
  readonly #answer: AnswerRequest
  /** Resolves with the close that the daemon sent. */
  readonly closed: Promise<{ code: number; reason: string }>
  readonly #arrived: DaemonFrame[] = []
  #waiting: (() => void) | null = null

  constructor(socket: WebSocket, answer: AnswerRequest) {
    this.socket = socket
    this.#answer = answer
    socket.on('message', (data: RawData) => this.#take(String(data)))
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
  }

  send(frame: BrokerFrame): void {
    this.sendText(JSON.stringify(frame))
  }

  sendText(text: string): void {
    this.socket.send(text)
  }

  /** The next frame of a type; frames of other types before it are passed over. */
  async next<T extends DaemonFrame['type']>(type: T): Promise<Frame<T>> {
    const deadline = performance.now() + waitMsMax
    for (;;) {
      const frame = this.#arrived.shift()
      if (frame?.type === type) return frame as Frame<T>
      if (frame !== undefined) continue
      const remaining = deadline - performance.now()
      if (remaining <= 0) throw new Error(`waited in vain for a frame ${type}`)
      await this.#nextArrival(remaining)
    }
  }

  /** Challenges, and checks the hello as a broker does. */
  async greet(url: string): Promise<Frame<'hello'>> {
    const nonce = Buffer.alloc(32, 7).toString('base64url')
    this.send({ type: 'challenge', nonce, broker_time: Date.now(), broker_version: '9.9.9' })
    const hello = await this.next('hello')
    const isProven = verifyHello({
      origin: originOf(url),
      meshId: hello.mesh.mesh_id,
      memberId: hello.member_id,
      nonce,
      options: hello.options,
      signature: hello.signature,
      publicKey: hello.member_id,
    })
    if (!isProven || hello.origin !== originOf(url)) throw new Error('the hello does not prove the member')
    return hello
  }

  /** The handshake to its end. */
  async accept(url: string, supported: Readonly<Record<string, unknown>> = brokerFeatures): Promise<Frame<'hello'>> {
    const hello = await this.greet(url)
    this.send({ type: 'welcome', connection_id: 'c1', limits: brokerLimits })
    await this.next('feature_negotiation_request')
    this.send({ type: 'feature_negotiation_response', supported: { ...supported }, missing_required: [] })
    return hello
  }

  #take(text: string): void {
    const reading = readDaemonFrame(text)
    if (!reading.ok) throw new Error(`the daemon sent a malformed frame: ${reading.detail}`)
    const { frame } = reading
    const result = frame.type === 'request' ? this.#answer(frame) : null
    if (frame.type === 'request' && result !== null) {
      this.send({ type: 'response', request_id: frame.request_id, status: 200, result })
      return
    }
    this.#arrived.push(frame)
    this.#waiting?.()
  }

  #nextArrival(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#waiting = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

export class ScriptedBroker {
  readonly #server: WebSocketServer
  readonly #connections: ScriptedConnection[] = []
  #waiting: (() => void) | null = null
  #count = 0

  /** @param options.answersPings false: as a host that is gone without a word */
  static async start(
    options: { readonly answersPings?: boolean; readonly port?: number; readonly answer?: AnswerRequest } = {},
  ): Promise<ScriptedBroker> {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: options.port ?? 0,
      path: '/v1/ws',
      perMessageDeflate: false,
      autoPong: options.answersPings ?? true,
      handleProtocols: (protocols) => (protocols.has('claudemesh.v1') ? 'claudemesh.v1' : false),
    })
    await new Promise((resolve, reject) => {
      server.once('listening', resolve)
      server.once('error', reject)
    })
    return new ScriptedBroker(server, options.answer ?? (() => null))
  }

  private constructor(server: WebSocketServer, answer: AnswerRequest) {
    this.#server = server
    server.on('connection', (socket) => {
      this.#count += 1
      this.#connections.push(new ScriptedConnection(socket, answer))
      this.#waiting?.()
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/v1/ws`
  }

  /** Connections so far. */
  get count(): number {
    return this.#count
  }

  /** The next connection that a daemon makes. */
  async connection(): Promise<ScriptedConnection> {
    const deadline = performance.now() + waitMsMax
    for (;;) {
      const connection = this.#connections.shift()
      if (connection !== undefined) return connection
      const remaining = deadline - performance.now()
      if (remaining <= 0) throw new Error('waited in vain for a connection')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, remaining)
        this.#waiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** The next connection, after its handshake. */
  async accepted(): Promise<ScriptedConnection> {
    const connection = await this.connection()
    await connection.accept(this.url)
    return connection
  }

  async stop(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
