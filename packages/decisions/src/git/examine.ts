/** What is wrong with a repository of decisions, if anything is (07 §7, `fsck`). */
import { MeshError } from '@claudemesh/protocol'
import { runGit } from './git-command.ts'
import type { GitSpace } from './git-space.ts'
import type { Repository } from './repository.ts'

/** One space, read from its start. */
export interface SpaceReport {
  readonly space: string
  /** How many decisions are sound, from the first on. */
  readonly seq: number
  readonly head: string | null
  /** Why there are no more, `log_corrupt` or `history_rewritten`; null when these are all. */
  readonly damage: MeshError | null
}

export interface RepositoryReport {
  /** What git finds wrong, a line each. */
  readonly problems: readonly string[]
  readonly spaces: readonly SpaceReport[]
}

/** Reads a space anew. @throws MeshError `storage_failed` */
export async function examineSpace(space: GitSpace): Promise<SpaceReport> {
  space.forget({ anew: true })
  try {
    await space.refresh()
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'history_rewritten') throw error
    return { space: space.name, seq: 0, head: null, damage: error }
  }
  return { space: space.name, seq: space.seq, head: space.head, damage: space.damage }
}

/** What `git fsck` finds. @throws MeshError `git_missing` */
export async function examineRepository({ directory }: Repository): Promise<readonly string[]> {
  const options = ['fsck', '--strict', '--full', '--no-dangling', '--no-progress']
  const { code, stdout, stderr } = await runGit(directory, options)
  const said = `${stdout.toString('utf8')}${stderr}`.split('\n')
  // A note is about a repository without a main branch, and about nothing that is stored.
  const problems = said.filter((line) => line !== '' && !line.startsWith('notice: '))
  return problems.length > 0 || code === 0 ? problems : [`git fsck ended with ${code}`]
}
