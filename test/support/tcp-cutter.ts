/** A network that ends each connection after so many bytes, whichever way they went, or lets no more of it through. */
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { onTestFinished } from 'vitest'

export class TcpCutter {
  readonly url: string
  cutAfterBytes = Number.POSITIVE_INFINITY
  stallAfterBytes = Number.POSITIVE_INFINITY
  connections = 0
  readonly #server: Server

  /** @param port of what stands behind it */
  static start(port: number): Promise<TcpCutter> {
    const server = createServer()
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(new TcpCutter(server, port))))
  }

  private constructor(server: Server, port: number) {
    this.#server = server
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/ws`
    server.on('connection', (near) => {
      this.connections += 1
      const far = connect(port, '127.0.0.1')
      let bytes = 0
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('error', () => undefined)
        from.on('close', () => to.destroy())
        from.on('data', (chunk: Buffer) => {
          if (bytes > this.stallAfterBytes) return
          bytes += chunk.length
          if (!to.write(chunk)) {
            from.pause()
            to.once('drain', () => from.resume())
          }
          if (bytes > this.cutAfterBytes) setImmediate(() => to.end(() => from.destroy()))
        })
      }
    })
    onTestFinished(() => void this.#server.close())
  }
}
