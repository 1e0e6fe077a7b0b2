import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlgorithm } from '../../../identity/algorithms.ts'
import { parseContentAddress } from '../../../identity/content-address.ts'
import { errnoOf } from '../../io-error.ts'
import type { ListedObject } from '../../spi.ts'

/** The objects below a root in the order of their addresses, those after one. */
export async function* listObjects(root: string, after: string): AsyncIterable<ListedObject> {
  for (const algorithm of (await namesIn(root)).filter(isAlgorithm)) {
    const base = join(root, algorithm)
    for (const first of await namesIn(base, /^[0-9a-f]{2}$/)) {
      for (const second of await namesIn(join(base, first), /^[0-9a-f]{2}$/)) {
        // The last address that this directory could hold: all of it was seen before.
        if (after !== '' && `${algorithm}:${first}${second}g` < after) continue
        yield* listShard({ algorithm, directory: join(base, first, second), after })
      }
    }
  }
}

/** Whether there is any object below a root. */
export async function hasObjects(root: string): Promise<boolean> {
  for await (const _ of listObjects(root, '')) return true
  return false
}

async function* listShard(o: {
  readonly algorithm: string
  readonly directory: string
  readonly after: string
}): AsyncIterable<ListedObject> {
  for (const name of await namesIn(o.directory, /^[0-9a-f]+$/)) {
    const text = `${o.algorithm}:${name}`
    if (text <= o.after) continue
    const stats = await lstat(join(o.directory, name)).catch(ignoreMissing)
    if (stats?.isFile() !== true) continue
    yield { address: parseContentAddress(text), size: stats.size, storedAt: Math.round(stats.mtimeMs) }
  }
}

/** Names in a directory, sorted; none when it went away. */
async function namesIn(directory: string, pattern = /^/): Promise<string[]> {
  const names = await readdir(directory).catch(ignoreMissing)
  return (names ?? []).filter((name) => pattern.test(name)).sort()
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error
}
