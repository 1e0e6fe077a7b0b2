/**
 * Stands between daemons and their broker, keeps every byte that passes in either direction, and can hold back or rewrite
 * what a broker says. It has none of the keys: what it does, a broker or anybody on the way could do.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { BrokerFrame, DaemonFrame } from '@claudemesh/protocol'
import { encodeTextFrame, FrameReader, textOpcode } from './websocket-frames.ts'

const headEnd = Buffer.from('\r\n\r\n')

/** Changes a frame of the broker on its way to a daemon. */
export type RewriteFrame = (frame: BrokerFrame) => BrokerFrame

/** One direction of one connection: the bytes as they passed, and the messages in them. */
class Direction {
  readonly #chunks: Buffer[] = []
  readonly #reader = new FrameReader()
  #head: Buffer | null = Buffer.alloc(0)
  /** The HTTP head, once it is complete. */
  head = ''
  readonly messages: Buffer[] = []

  /** @param forward called with what is to be passed on: the head, then frame by frame */
  take(bytes: Buffer, forward: (bytes: Buffer, text: string | null) => void): void {
    this.#chunks.push(bytes)
    const rest = this.#takeHead(bytes, forward)
    if (rest === null) return
    for (const frame of this.#reader.push(rest)) {
      // A search of what cannot be read would prove nothing.
      if (frame.compressed || !frame.fin)
        throw new Error('a frame is compressed or in parts: this proxy cannot read it')
      this.messages.push(frame.payload)
      forward(frame.bytes, frame.opcode === textOpcode ? frame.payload.toString('utf8') : null)
    }
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  #takeHead(bytes: Buffer, forward: (bytes: Buffer, text: null) => void): Buffer | null {
    if (this.#head === null) return bytes
    this.#head = Buffer.concat([this.#head, bytes])
    const end = this.#head.indexOf(headEnd)
    if (end === -1) return null
    const head = this.#head.subarray(0, end + headEnd.length)
    const rest = this.#head.subarray(end + headEnd.length)
    this.#head = null
    this.head = head.toString('latin1')
    forward(head, null)
    return rest
  }
}

class ProxiedConnection {
  readonly fromDaemon = new Direction()
  readonly fromBroker = new Direction()
  readonly #daemon: Socket
  readonly #broker: Socket
  #held: Buffer[] | null = null
  /** The member that said hello on it. */
  memberId: string | null = null

  constructor(daemon: Socket, brokerPort: number, rewrite: RewriteFrame) {
    this.#daemon = daemon
    this.#broker = connect({ host: '127.0.0.1', port: brokerPort })
    daemon.on('data', (bytes: Buffer) =>
      this.fromDaemon.take(bytes, (part, text) => {
        const frame = text === null ? null : (JSON.parse(text) as DaemonFrame)
        if (frame?.type === 'hello') this.memberId = frame.member_id
        this.#broker.write(part)
      }),
    )
    this.#broker.on('data', (bytes: Buffer) =>
      this.fromBroker.take(bytes, (part, text) => {
        const frame = text === null ? null : (JSON.parse(text) as BrokerFrame)
        const rewritten = frame === null ? null : rewrite(frame)
        this.#toDaemon(rewritten === frame ? part : encodeTextFrame(JSON.stringify(rewritten)))
      }),
    )
    for (const [socket, other] of [
      [daemon, this.#broker],
      [this.#broker, daemon],
    ] as const) {
      socket.on('error', () => other.destroy())
      socket.on('close', () => other.destroy())
    }
  }

  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = null
    for (const bytes of held) this.#toDaemon(bytes)
  }

  destroy(): void {
    this.#daemon.destroy()
    this.#broker.destroy()
  }

  get isOpen(): boolean {
    return !this.#daemon.destroyed
  }

  #toDaemon(bytes: Buffer): void {
    if (this.#held === null) this.#daemon.write(bytes)
    else this.#held.push(bytes)
  }
}

export class RecordingProxy {
  readonly #server: Server
  readonly #connections: ProxiedConnection[] = []
  /** What is done to frames of the broker; a frame that is given back as it is passes byte for byte. */
  rewrite: RewriteFrame = (frame) => frame

  static async start(options: { readonly port: number; readonly brokerPort: number }): Promise<RecordingProxy> {
    const server = createServer()
    const proxy = new RecordingProxy(server, options.brokerPort)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(options.port, '127.0.0.1', resolve)
    })
    return proxy
  }

  private constructor(server: Server, brokerPort: number) {
    this.#server = server
    server.on('connection', (socket) => {
      this.#connections.push(new ProxiedConnection(socket, brokerPort, (frame) => this.rewrite(frame)))
    })
  }

  /** Keeps everything back that the broker says to a member from now on; what the member says passes. */
  hold(memberId: string): void {
    const open = this.#connections.filter((connection) => connection.memberId === memberId && connection.isOpen)
    if (open.length === 0) throw new Error(`${memberId} is not connected`)
    for (const connection of open) connection.hold()
  }

  release(memberId: string): void {
    for (const connection of this.#connections) if (connection.memberId === memberId) connection.release()
  }

  /** Frames of a type that daemons have sent, in order of each connection. */
  sent<T extends DaemonFrame['type']>(type: T): Extract<DaemonFrame, { type: T }>[] {
    const frames = this.#connections.flatMap(({ fromDaemon }) => fromDaemon.messages.map(readJson))
    return frames.filter((frame): frame is Extract<DaemonFrame, { type: T }> => typeOf(frame) === type)
  }

  /** Everything that was recorded: the raw bytes, and the messages as they read without masks. */
  get recorded(): { readonly name: string; readonly bytes: Buffer }[] {
    return this.#connections.flatMap(({ fromDaemon, fromBroker }, n) => [
      { name: `connection ${n} to the broker, raw`, bytes: fromDaemon.bytes },
      { name: `connection ${n} to the broker, messages`, bytes: joinMessages(fromDaemon) },
      { name: `connection ${n} to the daemon, raw`, bytes: fromBroker.bytes },
      { name: `connection ${n} to the daemon, messages`, bytes: joinMessages(fromBroker) },
    ])
  }

  /** The HTTP heads of all connections, both sides. */
  get heads(): string[] {
    return this.#connections.flatMap(({ fromDaemon, fromBroker }) => [fromDaemon.head, fromBroker.head])
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

function joinMessages({ messages }: Direction): Buffer {
  return Buffer.concat(messages.flatMap((message) => [message, Buffer.from('\n')]))
}

function readJson(message: Buffer): unknown {
  try {
    return JSON.parse(message.toString('utf8'))
  } catch {
    // A ping or a close: no frame of ours.
    return null
  }
}

function typeOf(frame: unknown): unknown {
  return typeof frame === 'object' && frame !== null && 'type' in frame ? frame.type : null
}
