import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'

/** The command as it is built and shipped. */
export const claudemeshBin = createRequire(import.meta.url).resolve('claudemesh/bin/claudemesh.js')

/** How a process ended: by itself with a code, or by a signal. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A `claudemesh` process that stays in the foreground and is killed without ceremony. */
export class ManagedProcess {
  readonly #child: ChildProcess
  #output = ''
  #ending: Ending | null = null
  readonly ended: Promise<Ending>

  /** @param launcher program and first arguments that run a command somewhere else than right here */
  constructor(args: readonly string[], env: Readonly<Record<string, string>>, launcher: readonly string[] = []) {
    const [program, ...rest] = [...launcher, process.execPath, claudemeshBin, ...args] as [string, ...string[]]
    this.#child = spawn(program, rest, {
      env: { ...cleanEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#keep(chunk))
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#keep(chunk))
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        this.#ending = { code, signal }
        resolve(this.#ending)
      })
    })
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the process did not start')
    return this.#child.pid
  }

  /** Null while it runs. */
  get ending(): Ending | null {
    return this.#ending
  }

  /** The last part of what it printed. */
  get output(): string {
    return this.#output
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async kill(): Promise<Ending> {
    this.signal('SIGKILL')
    return this.ended
  }

  #keep(chunk: Buffer): void {
    this.#output = (this.#output + chunk.toString('utf8')).slice(-64_000)
  }
}

/** What the tests run in may be a CI; what they test must not behave differently for that. */
export function cleanEnvironment(): Record<string, string> {
  const env: Record<string, string> = { NO_COLOR: '1', CLAUDEMESH_IPC_TCP: 'off' }
  for (const name of ['PATH', 'HOME', 'TMPDIR', 'LANG']) {
    const value = process.env[name]
    if (value !== undefined) env[name] = value
  }
  return env
}
