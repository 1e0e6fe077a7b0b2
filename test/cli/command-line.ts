import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Problem } from '@claudemesh/protocol'
import { onTestFinished } from 'vitest'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
}

/** A home of its own, and the command line in it. */
export class CommandLine {
  readonly home: string

  /** @param whenDone when the home goes: with the running test, or with `afterAll` where tests share it */
  constructor(whenDone: (end: () => void) => void = onTestFinished) {
    // Short, since the path of a socket must be.
    this.home = mkdtempSync(join(tmpdir(), 'cm-'))
    whenDone(() => rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  }

  /** Runs a command to its end. */
  run(args: readonly string[], options: RunOptions = {}): Ran {
    const { status, stdout, stderr } = spawnSync(process.execPath, [claudemeshBin, ...args], {
      env: { ...cleanEnvironment(), CLAUDEMESH_HOME: this.home, ...options.env },
      input: options.input ?? '',
      encoding: 'utf8',
    })
    return { status, stdout, stderr }
  }

  /** Runs a command to its end beside others. */
  runAside(args: readonly string[]): Promise<Ran> {
    const env = { ...cleanEnvironment(), CLAUDEMESH_HOME: this.home }
    const child = spawn(process.execPath, [claudemeshBin, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString('utf8')))
    child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString('utf8')))
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (status) => resolve({ status, ...said }))
    })
  }

  /** Runs a command that must succeed, and returns the bytes that it prints. */
  runBytes(args: readonly string[]): Buffer {
    return execFileSync(process.execPath, [claudemeshBin, ...args], {
      env: { ...cleanEnvironment(), CLAUDEMESH_HOME: this.home },
      maxBuffer: 256 * 1024 * 1024,
    })
  }

  /** Runs a command that must succeed, with --json. */
  json<Value>(args: readonly string[], options: RunOptions = {}): Value {
    const ran = this.run([...args, '--json'], options)
    if (ran.status !== 0)
      throw new Error(`claudemesh ${args.join(' ')} ended with ${ran.status}: ${ran.stdout}${ran.stderr}`)
    return JSON.parse(ran.stdout) as Value
  }

  /** Runs a command that must fail, with --json, and returns its problem document. */
  problem(args: readonly string[], options: RunOptions = {}): Problem & { readonly exitCode: number } {
    const ran = this.run([...args, '--json'], options)
    if (ran.status === 0) throw new Error(`claudemesh ${args.join(' ')} succeeded: ${ran.stdout}`)
    return { ...(JSON.parse(ran.stderr) as Problem), exitCode: ran.status ?? -1 }
  }

  /** Starts the daemon in the background; it is killed when the test ends. */
  startDaemon(mesh: string): DaemonStarted {
    const started = this.json<DaemonStarted>(['daemon', 'start', '--mesh', mesh])
    onTestFinished(() => killIfThere(started.pid))
    return started
  }

  /** Follows a command that prints JSON lines, until the test ends. */
  follow(args: readonly string[]): Following {
    const child = spawn(process.execPath, [claudemeshBin, ...args, '--json'], {
      env: { ...cleanEnvironment(), CLAUDEMESH_HOME: this.home },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    return new Following(child)
  }
}

export interface DaemonStarted {
  readonly outcome: string
  readonly pid: number
  readonly socket: string
}

/** A running command and the lines that it has printed so far. */
export class Following {
  readonly items: Record<string, unknown>[] = []
  notes = ''

  constructor(child: ChildProcess) {
    if (child.stdout === null || child.stderr === null) throw new Error('the output is piped')
    createInterface({ input: child.stdout }).on('line', (line) => this.items.push(JSON.parse(line)))
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.notes += text
    })
  }
}

/** @param pid null: there is none (and never 0, which would be this test's own process group) */
export function killIfThere(pid: number | null): void {
  if (pid === null) return
  if (!(pid > 1)) throw new Error(`${pid} is not the pid of a process of ours`)
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
