import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Every file below a directory, by its path relative to it. */
export function directoryContents(directory: string): ReadonlyMap<string, Buffer> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
  return new Map(paths.sort().map((path) => [path, readFileSync(join(directory, path))]))
}
