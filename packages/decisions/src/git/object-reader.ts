/** Reads objects through one long-lived `git cat-file --batch-command` (07 §3). */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { MeshError } from '@claudemesh/protocol'
import { collectStderr, startFailure, startGit } from './git-command.ts'
import type { Repository } from './repository.ts'

/** An object as it was found. */
export interface FoundObject {
  /** Hexadecimal. */
  readonly id: string
  readonly type: string
  /** Empty where only `info` was asked for. */
  readonly body: Buffer
}

interface Request {
  readonly withBodies: boolean
  readonly names: readonly string[]
  readonly found: (FoundObject | null)[]
  readonly resolve: (found: readonly (FoundObject | null)[]) => void
  readonly reject: (error: unknown) => void
}

const newline = 0x0a

export class ObjectReader {
  readonly #repository: Repository
  #child: ChildProcessWithoutNullStreams | null = null
  #stderr: () => string = () => ''
  /** Answered in order. */
  #requests: Request[] = []
  #chunks: Buffer[] = []
  #bytes = 0
  /** Bytes that must be there before it is worth looking again. */
  #bytesAwaited = 0

  constructor(repository: Repository) {
    this.#repository = repository
  }

  /**
   * Objects by their names (ids, refs, `<commit>:<path>`), null for what is not there.
   *
   * @throws MeshError `storage_failed` when git cannot read one of them
   */
  contents(names: readonly string[]): Promise<readonly (FoundObject | null)[]> {
    return this.#ask(names, true)
  }

  /** As `contents`, without the bodies. */
  info(names: readonly string[]): Promise<readonly (FoundObject | null)[]> {
    return this.#ask(names, false)
  }

  close(): void {
    this.#child?.stdin.end()
    this.#child = null
  }

  #ask(names: readonly string[], withBodies: boolean): Promise<readonly (FoundObject | null)[]> {
    if (names.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      this.#requests.push({ withBodies, names, found: [], resolve, reject })
      const command = withBodies ? 'contents' : 'info'
      // Ids, and names that are told apart by ASCII alone.
      this.#start().stdin.write(`${names.map((name) => `${command} ${name}\n`).join('')}flush\n`, 'latin1')
    })
  }

  #start(): ChildProcessWithoutNullStreams {
    if (this.#child !== null) return this.#child
    const child = startGit(this.#repository.directory, ['cat-file', '--batch-command', '--buffer'])
    this.#child = child
    this.#stderr = collectStderr(child)
    this.#chunks = []
    this.#bytes = 0
    this.#bytesAwaited = 0
    child.stdin.on('error', () => undefined)
    child.stdout.on('data', (chunk: Buffer) => {
      if (this.#child === child) this.#take(chunk)
    })
    child.once('error', (error) => this.#fail(child, startFailure(error)))
    child.once('close', () => {
      const said = this.#stderr().trim()
      this.#fail(child, new MeshError('storage_failed', { detail: `git cannot read an object: ${said}` }))
    })
    return child
  }

  /** Nobody who waits is answered any more; the next request starts anew. */
  #fail(child: ChildProcessWithoutNullStreams, error: Error): void {
    if (this.#child !== child) return
    this.#child = null
    const waiting = this.#requests
    this.#requests = []
    for (const { reject } of waiting) reject(error)
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#bytesAwaited) return
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    const taken = this.#answer(bytes)
    const rest = bytes.subarray(taken)
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#bytes = rest.length
  }

  /** @returns how many bytes were used */
  #answer(bytes: Buffer): number {
    let at = 0
    this.#bytesAwaited = 0
    for (;;) {
      const [request] = this.#requests
      const end = bytes.indexOf(newline, at)
      if (request === undefined || end === -1) return at
      const line = bytes.toString('latin1', at, end)
      const found = parseLine(line)
      const size = found !== null && request.withBodies ? found.size : null
      const next = size === null ? end + 1 : end + 1 + size + 1
      if (next > bytes.length) {
        this.#bytesAwaited = next - at
        return at
      }
      // A copy: a part would keep the whole chunk that it came in.
      const body = size === null ? Buffer.alloc(0) : Buffer.from(bytes.subarray(end + 1, end + 1 + size))
      request.found.push(found === null ? null : { id: found.id, type: found.type, body })
      at = next
      if (request.found.length < request.names.length) continue
      this.#requests.shift()
      request.resolve(request.found)
    }
  }
}

function parseLine(line: string): { readonly id: string; readonly type: string; readonly size: number } | null {
  const [, id = '', type = '', size] = /^([0-9a-f]+) (\w+) (\d+)$/.exec(line) ?? []
  return size === undefined ? null : { id, type, size: Number(size) }
}
