/** Brokers as processes over one PostgreSQL, and what stands before them. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { eventually } from './eventually.ts'
import { ManagedProcess } from './managed-process.ts'

export interface Node {
  readonly process: ManagedProcess
  readonly url: string
  readonly port: number
}

export interface NodeOptions {
  readonly databaseUrl: string
  /** Any free one unless it is told. */
  readonly port?: number
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a node; the caller ends it. */
export async function launchNode({ databaseUrl, port = 0, env = {} }: NodeOptions): Promise<Node> {
  const process = new ManagedProcess(['broker', 'start', '--port', String(port)], {
    CLAUDEMESH_BROKER_DATABASE_URL: databaseUrl,
    CLAUDEMESH_BROKER_LOG_LEVEL: 'warn',
    ...env,
  })
  const url = await eventually('the broker listens', () => {
    if (process.ending !== null) throw new Error(`the broker ended: ${process.output}`)
    return /broker listening on (\S+)\n/.exec(process.output)?.[1]
  })
  return { process, url, port: Number(new URL(url).port) }
}

/** Starts a node, until the test ends. */
export async function startNode(options: NodeOptions): Promise<Node> {
  const node = await launchNode(options)
  onTestFinished(async () => void (await node.process.kill()))
  return node
}

/** A load balancer of the simplest kind: each connection goes to the next port that takes it. */
export class Balancer {
  readonly port: number
  readonly url: string
  /** Where connections may go; to be filled by whoever starts the nodes. */
  readonly targets: number[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #next = 0

  static open(): Promise<Balancer> {
    const server = createServer({ allowHalfOpen: true })
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(new Balancer(server))))
  }

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    this.url = `ws://127.0.0.1:${this.port}`
    server.on('connection', (near) => {
      this.#keep(near)
      this.#next += 1
      this.#connect(near, this.#next, this.targets.length)
    })
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #connect(near: Socket, place: number, attempts: number): void {
    const port = this.targets[place % this.targets.length]
    if (port === undefined || attempts === 0) {
      near.destroy()
      return
    }
    const far = connect(port, '127.0.0.1')
    this.#keep(far)
    far.once('error', () => {
      if (far.connecting || far.bytesRead + far.bytesWritten === 0) this.#connect(near, place + 1, attempts - 1)
      else near.destroy()
    })
    far.once('connect', () => {
      near.pipe(far).pipe(near)
      far.once('close', () => near.destroy())
      near.once('close', () => far.destroy())
    })
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
