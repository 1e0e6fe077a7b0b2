/** The broker as it is shipped, in a process of its own that says as much as it can, behind a proxy that records. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { claudemeshBin, cleanEnvironment } from './managed-process.ts'
import { findFreePort, type TestMesh } from './mesh.ts'
import { filesIn, type Haystack } from './plaintext-search.ts'
import { RecordingProxy } from './recording-proxy.ts'

export class BrokerBehindProxy {
  readonly proxy: RecordingProxy
  readonly #mesh: TestMesh
  readonly #port: number
  readonly #outputPath: string
  #child: ChildProcess | null = null

  /** Takes the place of the broker of a mesh, with its data and, towards daemons, its port. */
  static async takeOver(mesh: TestMesh): Promise<BrokerBehindProxy> {
    await mesh.broker.kill()
    const port = await findFreePort()
    const proxy = await RecordingProxy.start({ port: mesh.broker.port, brokerPort: port })
    const broker = new BrokerBehindProxy(mesh, proxy, port)
    await broker.start()
    return broker
  }

  private constructor(mesh: TestMesh, proxy: RecordingProxy, port: number) {
    this.#mesh = mesh
    this.proxy = proxy
    this.#port = port
    this.#outputPath = join(mesh.directory, 'broker-output')
  }

  async start(): Promise<void> {
    const { data, url } = this.#mesh.broker
    const output = openSync(this.#outputPath, 'a')
    const listening = this.#output.split('listening').length
    const place = ['--data', data, '--host', '127.0.0.1', '--port', String(this.#port), '--public-url', url]
    const child = spawn(process.execPath, [claudemeshBin, 'broker', 'start', ...place], {
      env: { ...cleanEnvironment(), CLAUDEMESH_BROKER_LOG_LEVEL: 'trace' },
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    this.#child = child
    await eventually('the broker listens', () => {
      if (child.exitCode !== null) throw new Error(`the broker ended: ${this.#output}`)
      return this.#output.split('listening').length > listening
    })
  }

  /** Ends it as a kill does, or in order: then the write-ahead log is moved into the database. */
  async stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === null) return
    this.#child = null
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  async end(): Promise<void> {
    await this.stop()
    await this.proxy.stop()
  }

  get databasePath(): string {
    return join(this.#mesh.broker.data, 'broker.db')
  }

  /** Everything that the broker has, says or said, as of now: its files, its log, its output, and all traffic. */
  get traces(): Haystack[] {
    const output = { name: 'the output of the broker', bytes: readFileSync(this.#outputPath) }
    return [...filesIn(this.#mesh.broker.data), output, ...this.proxy.recorded]
  }

  get #output(): string {
    return readFileSync(this.#outputPath, 'utf8')
  }
}
