/**
 * A mesh on this machine: a broker and members, each a real process of the built command, in one temporary directory.
 * Nothing here looks inside the product: it speaks HTTP on the sockets, runs the CLI, and kills. Only the homes are
 * written without it; `init` and `join` are tested where the CLI is.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { daemonPaths, type Health, type InboxPage, type Message } from '@claudemesh/protocol'
import { eventually } from './eventually.ts'
import { foundHomeAt, joinHomeAt } from './home-files.ts'
import { type HttpAnswer, type HttpRequest, requestOverSocket } from './http-over-socket.ts'
import { claudemeshBin, cleanEnvironment, ManagedProcess } from './managed-process.ts'

export const meshSlug = 'test'

/** How a process is started; `crashAt` names the step at which it kills itself. */
export interface StartOptions {
  readonly crashAt?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Where the processes of a mesh run when it is not right here, e.g. behind a recorder. */
export interface Place {
  /** Program and first arguments that run a command there. */
  readonly launcher: readonly string[]
  /** The path by which this process reaches one of theirs. */
  view(path: string): string
}

const here: Place = { launcher: [], view: (path) => path }

export interface MeshOptions {
  /** Called with each member's name and home before anything is in that home. */
  readonly prepareHome?: (name: string, home: string) => void
  /** What the members connect to; a broker of their own unless it is told. */
  readonly broker?: TestBroker
  /** Where that one keeps what it keeps; SQLite in its directory unless it is told. */
  readonly databaseUrl?: string
  /** False: the members have joined, and no daemon was ever started. */
  readonly startMembers?: boolean
}

export class TestMesh {
  readonly directory: string
  readonly broker: TestBroker
  readonly members: readonly TestMember[]

  /** Makes a mesh whose members know each other; the first one founded it. Everything runs. */
  static async start(names: readonly string[], options: MeshOptions = {}): Promise<TestMesh> {
    const { broker, databaseUrl } = options
    const mesh = new TestMesh(names, { port: await findFreePort(), broker, databaseUrl })
    for (const member of mesh.members) options.prepareHome?.(member.name, member.home)
    await mesh.broker.start()
    const [founder, ...others] = mesh.members
    if (founder === undefined) throw new Error('a mesh has a founder')
    // As the CLI completes it.
    const brokerUrl = `${mesh.broker.url}/v1/ws`
    const founded = foundHomeAt(founder.home, { slug: meshSlug, name: founder.name, brokerUrl })
    for (const { home, name } of others) joinHomeAt(home, founded, { name })
    if (options.startMembers === false) return mesh
    await Promise.all(mesh.members.map((member) => member.start()))
    await Promise.all(mesh.members.map((member) => member.knows(names)))
    return mesh
  }

  /** A mesh whose files are there, and whose processes do not run. */
  static at(directory: string, names: readonly string[], { port }: { readonly port: number }): TestMesh {
    return new TestMesh(names, { port, broker: undefined, directory })
  }

  private constructor(
    names: readonly string[],
    o: {
      readonly port: number
      readonly broker: TestBroker | undefined
      readonly databaseUrl?: string | undefined
      readonly directory?: string
    },
  ) {
    this.directory = o.directory ?? mkdtempSync(join(tmpdir(), 'cm-'))
    this.broker = o.broker ?? new TestBroker(join(this.directory, 'broker'), o.port, o.databaseUrl)
    this.members = names.map((name) => new TestMember(name, join(this.directory, name)))
  }

  member(name: string): TestMember {
    const found = this.members.find((member) => member.name === name)
    if (found === undefined) throw new Error(`no member ${name}`)
    return found
  }

  /** From their next start on the processes run there; null: right here. */
  moveTo(place: Place | null): void {
    for (const part of [this.broker, ...this.members]) part.place = place ?? here
  }

  /** Kills what runs. */
  async kill(): Promise<void> {
    await Promise.all([this.broker.kill(), ...this.members.map((member) => member.kill())])
  }

  /** Kills what runs and removes every file. */
  async end(): Promise<void> {
    await this.kill()
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

/** What broker and daemon have in common: one process at a time, started and killed at will. */
class Restartable {
  protected process: ManagedProcess | null = null
  place: Place = here

  get running(): ManagedProcess {
    if (this.process === null) throw new Error('it was not started')
    return this.process
  }

  /** Kills it if it runs. */
  async kill(): Promise<void> {
    if (this.process?.ending === null) await this.process.kill()
  }
}

export class TestBroker extends Restartable {
  readonly data: string
  readonly port: number
  readonly url: string
  readonly #databaseUrl: string | undefined

  constructor(data: string, port: number, databaseUrl?: string) {
    super()
    this.#databaseUrl = databaseUrl
    this.data = data
    this.port = port
    this.url = `ws://127.0.0.1:${port}`
  }

  async start(options: StartOptions = {}): Promise<void> {
    await this.kill()
    const kept = this.#databaseUrl === undefined ? ['--data', this.data] : ['--database-url', this.#databaseUrl]
    const args = ['broker', 'start', ...kept, '--host', '127.0.0.1', '--port', String(this.port)]
    this.process = new ManagedProcess(args, environmentOf(options), this.place.launcher)
    const { process } = this
    await eventually('the broker listens', () => {
      // It may be killed as soon as it listens.
      if (process.output.includes('listening')) return true
      if (process.ending !== null) throw new Error(`the broker ended: ${process.output}`)
      return false
    })
  }
}

export class TestMember extends Restartable {
  readonly name: string
  readonly home: string
  readonly socket: string

  constructor(name: string, home: string) {
    super()
    this.name = name
    this.home = home
    this.socket = daemonPaths(home, meshSlug).socket
  }

  get paths() {
    return daemonPaths(this.home, meshSlug)
  }

  /** Starts the daemon and returns when it answers, or when it has killed itself at the step it was told. */
  async start(options: StartOptions = {}): Promise<void> {
    await this.kill()
    const env = { ...environmentOf(options), CLAUDEMESH_HOME: this.home }
    const args = ['daemon', 'start', '--foreground', '--mesh', meshSlug]
    this.process = new ManagedProcess(args, env, this.place.launcher)
    const { process } = this
    await eventually(`the daemon of ${this.name} answers`, async () => {
      if (process.ending?.signal === 'SIGKILL' && options.crashAt !== undefined) return true
      if (process.ending !== null) throw new Error(`the daemon of ${this.name} ended: ${process.output}`)
      return (await this.health()) !== null
    })
  }

  request(request: HttpRequest): Promise<HttpAnswer> {
    return requestOverSocket(this.place.view(this.socket), request)
  }

  /** One attempt. */
  send(body: Readonly<Record<string, unknown>>, query = ''): Promise<HttpAnswer> {
    return this.request({ method: 'POST', path: `/v1/send${query}`, body })
  }

  /** Null when nobody answers. */
  async health(): Promise<Health | null> {
    try {
      return (await this.request({ method: 'GET', path: '/v1/health' })).json as Health
    } catch {
      // Not up, or killed under the request; the caller decides what that means.
      return null
    }
  }

  /** The whole inbox, oldest first, page by page. */
  async inbox(): Promise<readonly Message[]> {
    const messages: Message[] = []
    let after = ''
    for (;;) {
      const path = `/v1/inbox?order=oldest&limit=500${after === '' ? '' : `&after=${after}`}`
      const page = (await this.request({ method: 'GET', path })).json as InboxPage
      messages.push(...page.messages)
      if (page.next === null) return messages
      after = page.next
    }
  }

  /** Waits until the inbox holds that many messages, and reads it; more than expected is for the test to find. */
  async inboxOf(count: number, withinMs = 60_000): Promise<readonly Message[]> {
    await eventually(
      `the inbox of ${this.name} holds ${count} messages`,
      async () => ((await this.health())?.inbox.messages ?? 0) >= count,
      { withinMs },
    )
    return this.inbox()
  }

  /** Waits until this member's directory holds all of these names. */
  async knows(names: readonly string[]): Promise<void> {
    await eventually(`${this.name} knows ${names.join(', ')}`, async () => {
      const { peers } = (await this.request({ method: 'GET', path: '/v1/peers' })).json as { peers: { name: string }[] }
      return names.every((name) => peers.some((peer) => peer.name === name))
    })
  }

  /** Waits until nothing is left to send. */
  async drained(): Promise<void> {
    await eventually(
      `the outbox of ${this.name} is empty`,
      async () => {
        const health = await this.health()
        return health !== null && health.outbox.pending + health.outbox.inflight === 0
      },
      { withinMs: 60_000 },
    )
  }

  /** Runs the CLI in this member's home, whatever comes of it. */
  run(
    args: readonly string[],
    input = '',
    environment: Readonly<Record<string, string>> = {},
  ): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    const [program, ...rest] = [...this.place.launcher, process.execPath, claudemeshBin, ...args] as [
      string,
      ...string[],
    ]
    const { status, stdout, stderr } = spawnSync(program, rest, {
      env: { ...cleanEnvironment(), CLAUDEMESH_HOME: this.home, ...environment },
      input,
      encoding: 'utf8',
    })
    return { status, stdout, stderr }
  }

  /** Runs the CLI in this member's home; anything but success is an error that shows what it printed. */
  cli(args: readonly string[], input = ''): string {
    const { status, stdout, stderr } = this.run(args, input)
    if (status !== 0) throw new Error(`claudemesh ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`)
    return stdout
  }
}

function environmentOf(options: StartOptions): Record<string, string> {
  return { ...(options.crashAt === undefined ? {} : { CLAUDEMESH_CRASH_AT: options.crashAt }), ...options.env }
}

/** A port that is free now; a broker keeps its port across restarts, so it cannot be left to the system each time. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error()),
      )
    })
  })
}
