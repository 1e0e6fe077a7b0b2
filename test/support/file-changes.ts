/** What a program did to files, as `record-file-changes.mjs` saw it, and what of it a power cut could still take back. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { scratchDirectory } from './scratch-directory.ts'

type Change =
  | { readonly kind: 'data' | 'synced'; readonly path: string }
  | { readonly kind: 'name'; readonly path: string; readonly directory: string }
  | { readonly kind: 'moved'; readonly path: string; readonly from: string }

export interface Undurable {
  /** `data`: written after the last fsync of the file; `name`: made, moved or removed after the last of its directory. */
  readonly what: 'data' | 'name'
  readonly path: string
}

/** One run of a program, of which the changes are recorded. */
export class RecordedRun {
  readonly #trace = join(scratchDirectory(), 'changes')

  /** For the program's environment. It reaches the processes that the program starts as well. */
  get environment(): Readonly<Record<string, string>> {
    const recorder = fileURLToPath(new URL('record-file-changes.mjs', import.meta.url))
    return { NODE_OPTIONS: `--import=${recorder}`, CLAUDEMESH_TEST_FILE_CHANGES: this.#trace }
  }

  /** What was done below a directory, in order. */
  changes(below: string): readonly Change[] {
    if (!existsSync(this.#trace)) return []
    const lines = readFileSync(this.#trace, 'utf8').split('\n')
    return lines
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Change)
      .filter(({ path }) => path.startsWith(below))
  }

  /** What was changed below a directory and not made durable by the end. Files that are gone again have no data to keep. */
  undurable(below: string): readonly Undurable[] {
    const data = new Set<string>()
    const names = new Map<string, string>()
    for (const change of this.changes(below)) {
      switch (change.kind) {
        case 'data':
          data.add(change.path)
          break
        case 'name':
          names.set(change.path, change.directory)
          break
        case 'moved':
          if (data.delete(change.from)) data.add(change.path)
          break
        case 'synced':
          data.delete(change.path)
          for (const [path, directory] of names) if (directory === change.path) names.delete(path)
          break
        default:
          change satisfies never
      }
    }
    return [
      ...[...data].filter((path) => existsSync(path)).map((path) => ({ what: 'data' as const, path })),
      // What was in a directory that has gone goes with that, which is a name in another one.
      ...[...names].filter(([, directory]) => existsSync(directory)).map(([path]) => ({ what: 'name' as const, path })),
    ]
  }
}
