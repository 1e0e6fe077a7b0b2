import { existsSync, mkdirSync, realpathSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncDirectory, writeFileAtomic } from '@claudemesh/storage'
import type { FileChange } from './client-files.ts'

/** Writes the changes one after the other; each file is the old one or the new one at any moment. A link to a file stays one. */
export function applyChanges(changes: readonly FileChange[]): void {
  for (const { path, after, mode } of changes) {
    if (after === null) {
      rmSync(path)
      syncDirectory(dirname(path))
      continue
    }
    mkdirSync(dirname(path), { recursive: true })
    const target = existsSync(path) ? realpathSync(path) : path
    writeFileAtomic(target, after, { mode: existsSync(target) ? statSync(target).mode & 0o777 : mode })
  }
}
