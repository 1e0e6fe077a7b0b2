import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

export interface Child {
  readonly process: ChildProcess
  /** Every line that the child has printed so far. */
  readonly lines: readonly string[]
  /** Resolves when the child has printed that many lines; rejects when it ends before. */
  printed(count: number): Promise<readonly string[]>
  readonly exited: Promise<ChildExit>
}

export interface ChildOptions {
  readonly environment?: Readonly<Record<string, string>>
  /** Bytes that the child may write to one file, by the kernel's own limit (in steps of 1024). */
  readonly fileBytesMax?: number
}

/** The file that the build made of a program, which is named from `test/`. */
export function bundledChild(program: string): string {
  return join(import.meta.dirname, '../dist', program.replace('/children/', '-').replace('.mjs', '.js'))
}

/** Starts a program, named from `test/`, as it was bundled by the build. It is killed with the test at the latest. */
export function startChild(program: string, args: readonly string[], options: ChildOptions = {}): Child {
  const script = bundledChild(program)
  const env = { ...process.env, ...options.environment }
  const command = [process.execPath, script, ...args]
  const limited =
    options.fileBytesMax === undefined
      ? command
      : ['bash', '-c', `ulimit -f ${options.fileBytesMax / 1024} && exec "$@"`, 'limited', ...command]
  const child = spawn(limited[0] ?? '', limited.slice(1), { env, stdio: ['pipe', 'pipe', 'pipe'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const lines: string[] = []
  const watchers = new Set<() => void>()
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line)
    for (const watch of watchers) watch()
  })
  const exited = new Promise<ChildExit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stderr }))
  })
  const printed = async (count: number): Promise<readonly string[]> => {
    const enough = new Promise<void>((resolve) => {
      const watch = () => {
        if (lines.length >= count) resolve()
      }
      watchers.add(watch)
      watch()
    })
    await Promise.race([enough, exited])
    if (lines.length < count) throw new Error(`${program} ended after ${lines.length} lines: ${stderr}`)
    return lines
  }
  return { process: child, lines, printed, exited }
}
