/**
 * Runs one executable to its end, whatever it does.
 *
 * 1. It has a process group of its own (and a session), and the group is gone when `runProcess` returns: at the end of its time by
 *    SIGTERM and then SIGKILL, at its own end by SIGKILL for what it left. What makes a session of its own gets away;
 *    only a sandbox with a process namespace holds that.
 * 2. What it writes is read to the end and kept up to a bound, so that it neither blocks nor fills the memory.
 * 3. Nothing that it does with its pipes is an error here: it may read nothing, close everything, or write for ever.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { killGraceMs, outputGraceMs, stderrBytesKept, stdoutBytesMax, stopGraceMs } from './limits.ts'

export interface ProcessOrder {
  readonly command: string
  readonly args: readonly string[]
  readonly directory: string
  /** All of it: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>
  readonly input: string
  readonly timeoutMs: number
  /** Ends it before its time. */
  readonly signal: AbortSignal
  readonly monotonicMs: () => number
}

export interface ProcessEnd {
  /** Null: it was ended by a signal. */
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** What ended it, when it did not end by itself. */
  readonly ended: 'by_itself' | 'by_timeout' | 'by_stop'
  readonly stdout: string
  readonly stdoutBytes: number
  readonly stderr: string
  readonly durationMs: number
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** @throws NodeJS.ErrnoException when it cannot be started */
export async function runProcess(order: ProcessOrder): Promise<ProcessEnd> {
  const { command, args, directory, environment, input } = order
  const beganAt = order.monotonicMs()
  const child = spawn(command, args, {
    cwd: directory,
    env: environment,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const stdout = new BoundedOutput(child.stdout, stdoutBytesMax)
  const stderr = new BoundedOutput(child.stderr, stderrBytesKept)
  // Who does not read it has chosen not to.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const group = await started(child)
  const limit = new TimeLimit(group, order)
  const { exitCode, signal } = await exited(child)
  limit.clear()
  signalGroup(group, 'SIGKILL')
  await closed(child)
  return {
    exitCode,
    signal,
    ended: limit.passed ?? 'by_itself',
    stdout: stdout.text,
    stdoutBytes: stdout.bytes,
    stderr: stderr.text,
    durationMs: Math.max(0, Math.round(order.monotonicMs() - beganAt)),
  }
}

/** @returns its pid, which is that of its group */
function started(child: Child): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    if (child.pid !== undefined) resolve(child.pid)
  })
}

function exited(child: Child): Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve) => child.once('exit', (exitCode, signal) => resolve({ exitCode, signal })))
}

/** Resolves when its output is read to the end, or is held open by somebody who is not of its group. */
async function closed(child: Child): Promise<void> {
  const open = [child.stdout, child.stderr].filter((stream) => !stream.closed)
  if (open.length === 0) return
  let timer: NodeJS.Timeout | undefined
  const ends = Promise.all(open.map((stream) => new Promise((resolve) => stream.once('close', resolve))))
  const over = new Promise((resolve) => {
    timer = setTimeout(resolve, outputGraceMs)
  })
  await Promise.race([ends, over])
  clearTimeout(timer)
  for (const stream of open) stream.destroy()
}

/** Ends a group when its time is over or it is told to, gently first. */
class TimeLimit {
  readonly #group: number
  readonly #order: ProcessOrder
  #timer: NodeJS.Timeout
  passed: 'by_timeout' | 'by_stop' | null = null

  constructor(group: number, order: ProcessOrder) {
    this.#group = group
    this.#order = order
    this.#timer = setTimeout(() => this.#end('by_timeout', killGraceMs), order.timeoutMs)
    if (order.signal.aborted) this.#stop()
    else order.signal.addEventListener('abort', this.#stop, { once: true })
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#order.signal.removeEventListener('abort', this.#stop)
  }

  readonly #stop = (): void => this.#end('by_stop', stopGraceMs)

  #end(passed: 'by_timeout' | 'by_stop', graceMs: number): void {
    clearTimeout(this.#timer)
    this.passed ??= passed
    signalGroup(this.#group, 'SIGTERM')
    this.#timer = setTimeout(() => signalGroup(this.#group, 'SIGKILL'), graceMs)
  }
}

/**
 * The leader is signalled before it is reaped, or in the turn in which it was: its number is not given to another process
 * while one of its group lives.
 */
function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch (error) {
    // Nobody of it is left, or only what may not be signalled: a program that runs as another user.
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}

/** Reads a stream to its end, and keeps its beginning. */
class BoundedOutput {
  readonly #chunks: Buffer[] = []
  #kept = 0
  bytes = 0

  constructor(stream: Readable, bytesKept: number) {
    stream.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length
      const part = chunk.subarray(0, bytesKept - this.#kept)
      if (part.length > 0) this.#chunks.push(part)
      this.#kept += part.length
    })
    // Whoever holds the other end may end it in any way.
    stream.on('error', () => undefined)
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }
}
