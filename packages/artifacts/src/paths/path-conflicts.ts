/** Paths that cannot stand beside each other in one package (06 §9). */
import type { RelativePath } from './relative-path.ts'

/** `duplicate_path`: the same path. `path_collision`: another spelling of it, or a file where another needs a directory. */
export type PathConflict = 'duplicate_path' | 'path_collision'

/** The paths of one package, to which others are added as long as they can be. */
export class PathSet {
  readonly #files = new Map<string, string>()
  readonly #directories = new Set<string>()

  /** Adds a path. @returns why it cannot be added, or null */
  add(path: RelativePath): PathConflict | null {
    const { relative_path, path_key } = path
    const taken = this.#files.get(path_key)
    if (taken !== undefined) return taken === relative_path ? 'duplicate_path' : 'path_collision'
    const parents = parentsOf(path_key)
    if (this.#directories.has(path_key) || parents.some((parent) => this.#files.has(parent))) return 'path_collision'
    this.#files.set(path_key, relative_path)
    for (const parent of parents) this.#directories.add(parent)
    return null
  }
}

/** The keys of the directories that a file with this key stands in. */
export function parentsOf(pathKey: string): string[] {
  const parents: string[] = []
  for (let end = pathKey.indexOf('/'); end >= 0; end = pathKey.indexOf('/', end + 1))
    parents.push(pathKey.slice(0, end))
  return parents
}
