/**
 * A network that fails, between daemons and their broker: it delays, splits, stalls, tears and doubles what passes, ends one
 * half of a connection or all of it. It changes no byte and never the order of what passes: that TCP would not do either.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import type { Seeded } from './seed.ts'
import { FrameReader, textOpcode } from './websocket-frames.ts'

export const faults = [
  /** Every frame comes late. */
  'delay',
  /** Every byte is written by itself. */
  'split',
  /** The reader takes a kibibyte at a time, with a rest after each. */
  'slow',
  /** Nothing passes, and the sockets stand, until the fault is over. */
  'stall',
  /** Every message that is no part of a handshake passes twice, as after a retry. */
  'double',
  /** Half of a frame passes, then the connection breaks. */
  'tear',
  /** One side has said its last word; the other may go on. */
  'half-close',
  /** The connection is gone. */
  'cut',
] as const
export type Fault = (typeof faults)[number]
type Way = 'to broker' | 'to daemon'

const headEnd = Buffer.from('\r\n\r\n')
const notDoubled = new Set([
  'challenge',
  'hello',
  'welcome',
  'feature_negotiation_request',
  'feature_negotiation_response',
])
const splitBytesMax = 2048
const slowBytes = 1024

/** One direction of one connection. */
class Flow {
  readonly #from: Socket
  readonly #to: Socket
  readonly #proxy: FaultProxy
  readonly #way: Way
  readonly #reader = new FrameReader()
  #head: Buffer | null = Buffer.alloc(0)
  #ended = false

  constructor(o: { readonly from: Socket; readonly to: Socket; readonly proxy: FaultProxy; readonly way: Way }) {
    this.#from = o.from
    this.#to = o.to
    this.#proxy = o.proxy
    this.#way = o.way
    o.from.on('data', (bytes: Buffer) => {
      o.from.pause()
      void this.#take(bytes).then(() => o.from.resume())
    })
    o.from.on('end', () => o.to.end())
    o.from.on('error', () => undefined)
    o.from.on('close', () => o.to.destroy())
  }

  async #take(bytes: Buffer): Promise<void> {
    const rest = this.#takeHead(bytes)
    for (const frame of rest === null ? [] : this.#reader.push(rest)) {
      const text = frame.opcode === textOpcode ? frame.payload.toString('utf8') : null
      await this.#pass(frame.bytes, text)
    }
  }

  /** The HTTP head passes as it is. @returns what comes behind it */
  #takeHead(bytes: Buffer): Buffer | null {
    if (this.#head === null) return bytes
    this.#head = Buffer.concat([this.#head, bytes])
    const end = this.#head.indexOf(headEnd)
    if (end === -1) return null
    const [head, rest] = [this.#head.subarray(0, end + headEnd.length), this.#head.subarray(end + headEnd.length)]
    this.#head = null
    this.#to.write(head)
    return rest
  }

  async #pass(bytes: Buffer, text: string | null): Promise<void> {
    this.#proxy.frames += 1
    const { fault } = this.#proxy
    switch (fault !== null && this.#proxy.ways.has(this.#way) ? fault : null) {
      case null:
        return this.#write(bytes)
      case 'delay':
        await pause(this.#proxy.random.next() * 60)
        return this.#write(bytes)
      case 'split':
        for (let at = 0; at < Math.min(bytes.length, splitBytesMax); at += 1) {
          this.#write(bytes.subarray(at, at + 1))
          if (at % 16 === 0) await turn()
        }
        return this.#write(bytes.subarray(splitBytesMax))
      case 'slow':
        for (let at = 0; at < bytes.length; at += slowBytes) {
          this.#write(bytes.subarray(at, at + slowBytes))
          await pause(5)
        }
        return
      case 'stall':
        await this.#proxy.over()
        return this.#write(bytes)
      case 'double':
        this.#write(bytes)
        if (text === null || notDoubled.has((JSON.parse(text) as { type: string }).type)) return
        this.#proxy.doubled += 1
        return this.#write(bytes)
      case 'tear':
        this.#to.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () => this.#break())
        this.#ended = true
        return
      case 'half-close':
        this.#ended = true
        this.#to.end()
        return
      case 'cut':
        return this.#break()
    }
  }

  #write(bytes: Buffer): void {
    if (!this.#ended && bytes.length > 0 && this.#to.writable) this.#to.write(bytes)
  }

  #break(): void {
    this.#from.destroy()
    this.#to.destroy()
  }
}

export class FaultProxy {
  readonly port: number
  readonly url: string
  readonly random: Seeded
  /** Where the broker is. */
  readonly brokerPort: number
  connections = 0
  frames = 0
  /** Messages that passed twice. */
  doubled = 0
  /** How often each fault was there. */
  readonly struck = new Map<Fault, number>(faults.map((fault) => [fault, 0]))
  fault: Fault | null = null
  ways: ReadonlySet<Way> = new Set()
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #held: (() => void)[] = []

  static open(options: { readonly brokerPort: number; readonly random: Seeded }): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(new FaultProxy(server, options))))
  }

  private constructor(server: Server, options: { readonly brokerPort: number; readonly random: Seeded }) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    this.url = `ws://127.0.0.1:${this.port}`
    this.brokerPort = options.brokerPort
    this.random = options.random
    server.on('connection', (daemon) => {
      this.connections += 1
      const broker = connect({ port: this.brokerPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
      for (const socket of [daemon, broker]) {
        this.#sockets.add(socket)
        socket.once('close', () => this.#sockets.delete(socket))
      }
      new Flow({ from: daemon, to: broker, proxy: this, way: 'to broker' })
      new Flow({ from: broker, to: daemon, proxy: this, way: 'to daemon' })
    })
  }

  /** From now on, in one direction or both, everything that passes meets this fault; the one before is over. */
  strike(fault: Fault): void {
    this.calm()
    this.fault = fault
    this.ways = new Set(this.random.pick<readonly Way[]>([['to broker'], ['to daemon'], ['to broker', 'to daemon']]))
    this.struck.set(fault, (this.struck.get(fault) ?? 0) + 1)
  }

  /** Everything passes again, and what was held back goes first. */
  calm(): void {
    this.fault = null
    for (const release of this.#held.splice(0)) release()
  }

  /** Resolves when the present fault is over. */
  over(): Promise<void> {
    return new Promise((resolve) => this.#held.push(resolve))
  }

  close(): void {
    this.calm()
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}
