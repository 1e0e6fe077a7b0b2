import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'

/** Every file below a directory, by its path relative to it. */
export function directoryContents(directory: string): ReadonlyMap<string, Buffer> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
  return new Map(paths.sort().map((path) => [path, readFileSync(join(directory, path))]))
}

/** That two directories have the same files. `toEqual` goes through buffers byte by byte, seconds for a megabyte. */
export function expectSameFiles(actual: string, expected: string): void {
  const [files, wanted] = [directoryContents(actual), directoryContents(expected)]
  expect([...files.keys()]).toEqual([...wanted.keys()])
  for (const [path, bytes] of files) expect(bytes.equals(wanted.get(path) ?? Buffer.alloc(0)), path).toBe(true)
}
