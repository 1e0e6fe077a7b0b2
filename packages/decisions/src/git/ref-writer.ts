/**
 * Changes of refs through one long-lived `git update-ref --stdin` (07 §3, §4).
 *
 * 1. Every ref of a change is locked and compared before any is written. Then they are written in the order given; a crash
 *    in between leaves the first ones changed.
 * 2. When `change` returns `committed`, the refs and the directories that they are in are on the disk.
 * 3. A lock that a killed git has left is removed when its holder is known to be dead.
 * 4. A change is sent whole: git does not wait for this process with the locks in its hand, so that whoever stops or kills
 *    it does not keep the others out.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crashPoint, syncDirectory, toStorageError } from '@claudemesh/storage'
import { collectStderr, gitFailure, startFailure, startGit } from './git-command.ts'
import type { Repository } from './repository.ts'
import { WriterRecords } from './writer-records.ts'

/** One ref in a change. `from` must be where it is; null stands for a ref that is not there. Ids are hexadecimal. */
export interface RefStep {
  readonly ref: string
  readonly from: string | null
  /** Absent: it is only compared. Null: it is removed. */
  readonly to?: string | null
}

/** `moved`: a ref was not where it had to be. `locked`: another process holds the lock of one, or has left it. */
export type RefOutcome =
  | { readonly kind: 'committed' }
  | { readonly kind: 'moved' }
  | { readonly kind: 'locked'; readonly lockPath: string }

interface Waiting {
  readonly resolve: (outcome: RefOutcome) => void
  readonly reject: (error: unknown) => void
}

export class RefWriter {
  readonly #repository: Repository
  readonly #records: WriterRecords
  #child: ChildProcessWithoutNullStreams | null = null
  /** Who waits for what the process says, in order. */
  #waiting: Waiting[] = []
  #turn: Promise<unknown> = Promise.resolve()
  /** Directories whose names are durable in the ones above them, by what tells them from later ones of their name. */
  readonly #synced = new Map<string, string>()

  constructor(repository: Repository) {
    this.#repository = repository
    this.#records = new WriterRecords(repository)
  }

  /** @throws MeshError `storage_failed`, `insufficient_storage`: where the refs are now must be read */
  change(steps: readonly RefStep[]): Promise<RefOutcome> {
    const outcome = this.#turn.then(async () => {
      const first = await this.#change(steps)
      if (first.kind !== 'locked' || !this.#records.removeStaleLock(first.lockPath)) return first
      return this.#change(steps)
    })
    this.#turn = outcome.catch(() => undefined)
    return outcome
  }

  /**
   * Makes what a ref says now durable, whoever wrote it.
   *
   * @throws MeshError `storage_failed`, `insufficient_storage`
   */
  sync(ref: string): void {
    this.#syncNames(dirname(ref))
  }

  close(): void {
    this.#child?.stdin.end()
    this.#child = null
  }

  async #change(steps: readonly RefStep[]): Promise<RefOutcome> {
    const zero = '0'.repeat(this.#repository.format === 'sha1' ? 40 : 64)
    const lines = steps.map(({ ref, from, to }) => {
      if (to === undefined) return `verify ${ref} ${from ?? zero}\n`
      return to === null ? `delete ${ref} ${from ?? zero}\n` : `update ${ref} ${to} ${from ?? zero}\n`
    })
    const outcome = await this.#ask(`start\n${lines.join('')}prepare\ncommit\n`, steps)
    if (outcome.kind !== 'committed') return outcome
    crashPoint('decisions.ref.renamed')
    for (const { ref, to } of steps) if (to !== undefined) this.sync(ref)
    crashPoint('decisions.ref.synced')
    return outcome
  }

  async #ask(text: string, steps: readonly RefStep[]): Promise<RefOutcome> {
    const child = this.#start()
    const { pid } = child
    // Without an id it was not started, and the answer says why.
    if (pid !== undefined) {
      const refs = steps.map(({ ref }) => ref)
      this.#records.begin(pid, refs)
    }
    const answered = new Promise<RefOutcome>((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    })
    child.stdin.write(text)
    try {
      return await answered
    } finally {
      if (pid !== undefined) this.#records.end(pid)
    }
  }

  #start(): ChildProcessWithoutNullStreams {
    if (this.#child !== null) return this.#child
    const child = startGit(this.#repository.directory, ['update-ref', '--stdin'])
    this.#child = child
    const said = collectStderr(child)
    let line = ''
    child.stdin.on('error', () => undefined)
    child.stdout.on('data', (chunk: Buffer) => {
      line += chunk.toString('utf8')
      if (!line.endsWith('commit: ok\n')) return
      line = ''
      this.#waiting.shift()?.resolve({ kind: 'committed' })
    })
    child.once('error', (error) => this.#end(child, ({ reject }) => reject(startFailure(error))))
    child.once('close', () => this.#end(child, (waiting) => settleRefusal(waiting, said())))
    return child
  }

  #end(child: ChildProcessWithoutNullStreams, settle: (waiting: Waiting) => void): void {
    if (this.#child === child) this.#child = null
    for (const waiting of this.#waiting.splice(0)) settle(waiting)
  }

  /**
   * Makes the names in a directory of refs durable, and its own: `git pack-refs` removes such directories, and they are made
   * again.
   */
  #syncNames(directory: string): void {
    const path = join(this.#repository.directory, directory)
    try {
      const { ino, birthtimeNs } = statSync(path, { bigint: true })
      syncDirectory(path)
      const identity = `${ino}:${birthtimeNs}`
      if (directory === '.' || this.#synced.get(directory) === identity) return
      this.#syncNames(dirname(directory))
      this.#synced.set(directory, identity)
    } catch (error) {
      // The refs that were in it are in `packed-refs` now.
      if (isMissing(error)) this.#syncNames('.')
      else throw toStorageError(error, path)
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** What git means when it ends instead of answering. */
function settleRefusal({ resolve, reject }: Waiting, said: string): void {
  const [, lockPath] = /Unable to create '(.+\.lock)': File exists/.exec(said) ?? []
  if (lockPath !== undefined) resolve({ kind: 'locked', lockPath })
  else if (/ but expected |reference already exists|unable to resolve reference/.test(said)) resolve({ kind: 'moved' })
  else reject(gitFailure('git update-ref', said))
}
