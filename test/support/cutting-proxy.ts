/** A proxy between daemons and their broker that cuts a connection when so many bytes have passed over it in one direction. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class CuttingProxy {
  /** Bytes of one direction of one connection after which it is cut; null: none is. */
  cutsAfter: number | null = null
  /** Connections that were cut. */
  cuts = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  static async start(o: { readonly port: number; readonly brokerPort: number }): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(o.brokerPort)
    await new Promise<void>((resolve) => proxy.#server.listen(o.port, '127.0.0.1', resolve))
    return proxy
  }

  private constructor(brokerPort: number) {
    this.#server = createServer((client) => {
      const broker = connect(brokerPort, '127.0.0.1')
      for (const [from, to] of [
        [client, broker],
        [broker, client],
      ] as const) {
        this.#sockets.add(from)
        let passed = 0
        from.on('data', (bytes: Buffer) => {
          passed += bytes.length
          if (this.cutsAfter !== null && passed > this.cutsAfter) {
            this.cuts += 1
            client.destroy()
            broker.destroy()
            return
          }
          if (!to.write(bytes)) from.pause()
          to.once('drain', () => from.resume())
        })
        from.on('error', () => to.destroy())
        from.on('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
        to.setMaxListeners(0)
      }
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
