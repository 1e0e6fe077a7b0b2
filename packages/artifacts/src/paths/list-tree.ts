import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ArtifactError } from '../artifact-error.ts'

/** What is in a directory or below it, and is none itself. */
export interface TreeEntry {
  /** Relative to the directory, with slashes. */
  readonly path: string
  readonly isFile: boolean
}

/**
 * Everything below a directory but directories, in no order. No link is followed.
 *
 * @throws ArtifactError `invalid_path`: a name is not text; what the system says
 */
export async function* listTree(directory: string): AsyncGenerator<TreeEntry> {
  const waiting = ['']
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of await readdir(join(directory, next), { withFileTypes: true, encoding: 'buffer' })) {
      const name = entry.name.toString('utf8')
      const path = next === '' ? name : `${next}/${name}`
      if (Buffer.compare(Buffer.from(name), entry.name) !== 0) throw notText(path)
      if (entry.isDirectory()) waiting.push(path)
      else yield { path, isFile: entry.isFile() }
    }
  }
}

function notText(path: string): ArtifactError {
  return new ArtifactError('invalid_path', {
    detail: `The name of ${path} is not text in UTF-8: rename it, as every path in a package is text.`,
  })
}
