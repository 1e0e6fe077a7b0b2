/** A WebSocket client that writes whatever bytes a test wants, after an upgrade as it should be. */
import http from 'node:http'
import type { Socket } from 'node:net'
import { eventually } from './eventually.ts'
import { FrameReader, type WireFrame } from './websocket-frames.ts'

const closeOpcode = 8

export class RawSocket {
  readonly #socket: Socket
  readonly #frames: WireFrame[] = []
  #isOver = false

  /** @param url of a broker, `ws://` */
  static connect(url: string): Promise<RawSocket> {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16, 7).toString('base64'),
      'sec-websocket-protocol': 'claudemesh.v1',
    }
    return new Promise((resolve, reject) => {
      const request = http.get(url.replace(/^ws/, 'http'), { headers, agent: false })
      request.on('error', reject)
      request.on('response', ({ statusCode }) => reject(new Error(`no upgrade: ${statusCode}`)))
      request.on('upgrade', (_response, socket, head) => resolve(new RawSocket(socket as Socket, head)))
    })
  }

  private constructor(socket: Socket, head: Buffer) {
    this.#socket = socket
    const reader = new FrameReader()
    this.#frames.push(...reader.push(head))
    socket.on('data', (bytes: Buffer) => this.#frames.push(...reader.push(bytes)))
    socket.on('close', () => {
      this.#isOver = true
    })
    // The other side may end the connection in the middle of what is written; `close` follows.
    socket.on('error', () => undefined)
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Waits for a text frame that has this in it. */
  async said(text: string): Promise<void> {
    await eventually(`the broker says ${text}`, () => this.#frames.some(({ payload }) => payload.includes(text)))
  }

  /** The code that the other side closed with; null: it ended the connection without one. */
  async closed(): Promise<number | null> {
    await eventually('the broker closes', () => this.#isOver || this.#close() !== undefined)
    this.#socket.destroy()
    return this.#close()?.payload.readUInt16BE(0) ?? null
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #close(): WireFrame | undefined {
    return this.#frames.find(({ opcode }) => opcode === closeOpcode)
  }
}
