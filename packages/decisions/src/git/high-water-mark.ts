/**
 * How far this host has seen each space (07 §3): a branch that does not lead there any more was moved by somebody's hand.
 *
 * A mark is not synced. What a power cut takes of it makes the next look less strict, and nothing else.
 */
import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { toStorageError } from '@claudemesh/storage'
import type { Repository } from './repository.ts'

/** An event and its commit. */
export interface Mark {
  readonly seq: number
  readonly commit: string
}

const seqDigits = 16

export class HighWaterMarks {
  readonly #directory: string

  constructor(repository: Repository) {
    this.#directory = join(repository.directory, 'claudemesh', 'seen')
  }

  /** Null when nothing was seen, or the mark did not survive. */
  read(space: string): Mark | null {
    let text: string
    try {
      text = readFileSync(join(this.#directory, space), 'latin1')
    } catch (error) {
      if (isMissing(error)) return null
      throw toStorageError(error, this.#directory)
    }
    const [, seq, commit] = /^(\d+) ([0-9a-f]{40,64})\n$/.exec(text) ?? []
    return seq === undefined || commit === undefined ? null : { seq: Number(seq), commit }
  }

  /** Readers go on where nothing can be written; without the mark a rewrite is seen by this process alone. */
  write(space: string, { seq, commit }: Mark): void {
    const path = join(this.#directory, space)
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
      // Always as long as before, and written over it: whoever is killed here leaves a mark.
      const file = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600)
      try {
        writeSync(file, `${String(seq).padStart(seqDigits, '0')} ${commit}\n`, 0)
      } finally {
        closeSync(file)
      }
    } catch (error) {
      if (!(toStorageError(error, path) instanceof MeshError)) throw error
    }
  }

  remove(space: string): void {
    rmSync(join(this.#directory, space), { force: true })
  }
}

/** The error of a branch that does not lead to what was seen. @param o `head`: where it is now */
export function historyRewritten(
  ref: string,
  { space, head, seen }: { space: string; head: string | null; seen: { seq: number; commit: string | null } },
): MeshError {
  return new MeshError('history_rewritten', {
    detail: `${ref} is at ${head ?? 'no commit'} and does not lead to ${seen.commit}, which was decision ${seen.seq}.`,
    data: { space, seen_seq: seen.seq, seen_commit: seen.commit, head },
  })
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
