/** A shell as a person has it open: what one command sets the next one finds, and a home directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { eventually } from '../support/eventually.ts'

export interface Typed {
  readonly status: number
  readonly stdout: string
  /** What was said to the person, for a message of failure. */
  readonly notes: string
}

interface Place {
  /** The working directory, shared by all who take part in a document. */
  readonly work: string
  readonly home: string
  readonly env: Readonly<Record<string, string>>
}

export class Terminal {
  readonly home: string
  readonly #place: Place
  readonly #shell: ChildProcess
  readonly #input: Writable
  #answers = ''
  #typed = 0

  constructor(place: Place) {
    this.home = place.home
    this.#place = place
    mkdirSync(place.home, { recursive: true, mode: 0o700 })
    this.#shell = spawn('bash', ['--noprofile', '--norc'], {
      ...this.#surroundings(),
      stdio: ['pipe', 'ignore', 2, 'pipe'],
    })
    const [input, , , answers] = this.#shell.stdio
    if (!input || !('write' in input) || !answers || !('on' in answers)) throw new Error('the shell has pipes')
    this.#input = input
    answers.on('data', (chunk: Buffer) => {
      this.#answers += chunk.toString()
    })
  }

  /** Types a block and waits for its end; the first command that fails ends it. */
  async type(script: string, { mayFail = false }: { readonly mayFail?: boolean } = {}): Promise<Typed> {
    const { path, call } = this.#write(script)
    // What is expected to fail must not end the shell, and so has one of its own.
    this.#input.write(mayFail ? `set +e\n(${call})\necho $? >&3\n` : `${call}\necho 0 >&3\n`)
    const answered = this.#answers.length
    const status = await eventually(
      `the shell is through with\n${script}`,
      () => {
        if (this.#answers.length > answered) return this.#answers.slice(answered).trim()
        return this.#shell.exitCode === null ? null : String(this.#shell.exitCode)
      },
      { withinMs: 180_000 },
    )
    return { status: Number(status), stdout: read(`${path}.out`), notes: read(`${path}.notes`) }
  }

  /** Runs a block beside the rest, as in a second window. */
  follow(script: string): Followed {
    const { path, call } = this.#write(script)
    return new Followed(spawn('bash', ['-c', call], { ...this.#surroundings(), stdio: 'ignore', detached: true }), path)
  }

  close(): void {
    this.#shell.kill('SIGKILL')
  }

  #write(script: string) {
    const path = join(this.#place.home, `.typed-${++this.#typed}`)
    const said = `${path}.notes`
    writeFileSync(path, script)
    const call = `set -eEo pipefail; trap 'echo "failed: $BASH_COMMAND" >>${said}' ERR; . ${path} >${path}.out 2>>${said} </dev/null 3>&-`
    return { path, call }
  }

  #surroundings() {
    const { work, home, env } = this.#place
    return { cwd: work, env: { ...env, HOME: home } }
  }
}

/** A command that goes on until it is interrupted. */
export class Followed {
  readonly #child: ChildProcess
  readonly #path: string

  constructor(child: ChildProcess, path: string) {
    this.#child = child
    this.#path = path
  }

  get stdout(): string {
    return read(`${this.#path}.out`)
  }

  get notes(): string {
    return read(`${this.#path}.notes`)
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** As a person ends it, with Ctrl-C. */
  async interrupt(): Promise<void> {
    this.signal('SIGINT')
    if (this.isRunning) await once(this.#child, 'exit', { signal: AbortSignal.timeout(20_000) })
  }

  signal(name: NodeJS.Signals): void {
    if (this.#child.pid !== undefined && this.isRunning) process.kill(-this.#child.pid, name)
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return ''
  }
}
