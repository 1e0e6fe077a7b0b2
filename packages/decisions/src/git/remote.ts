/** Copies of logs in other repositories, through git (07 §4): a backup, a bootstrap, or what another host has. */
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { syncDirectory } from '@claudemesh/storage'
import { git, runGit } from './git-command.ts'
import type { GitSpace } from './git-space.ts'
import type { HeldLease, Leases } from './leases.ts'
import type { RefWriter } from './ref-writer.ts'
import { listRefs, type Repository, showBranch, spaceRefPrefix } from './repository.ts'

/** What became of one space in a push. `rejected`: the other one has what is not here; nothing of it was changed. */
export interface PushedSpace {
  readonly space: string
  readonly outcome: 'pushed' | 'unchanged' | 'rejected'
}

/**
 * What became of one space in a pull. `diverged`: both have what the other has not; `shared`: it is decided elsewhere. Nothing of
 * either was changed.
 */
export interface PulledSpace {
  readonly space: string
  readonly outcome: 'pulled' | 'unchanged' | 'diverged' | 'shared'
  /** How many decisions came. */
  readonly events: number
}

/** Where the branches of a remote are kept when they were fetched: refs of this host, which no clone takes along. */
const fetchedPrefix = 'refs/claudemesh/fetched/'
/** A path, a URL, or `host:path`. Never an option, nor `<helper>::<address>`, which runs a program of that name. */
const addressPattern = /^(\/|[a-z][a-z0-9+.-]*:\/\/|[^-/:\s][^/:\s]*:(?!:))[^\s\0]+$/

/**
 * Pushes every space to a repository, each as far as it continues what is there.
 *
 * @param remote an absolute path, a URL, `host:path`, or the name of a remote of the repository
 * @throws MeshError `invalid_request`, `remote_failed`
 */
export async function pushSpaces(
  repository: Repository,
  remote: string,
  signal?: AbortSignal,
): Promise<readonly PushedSpace[]> {
  await checkRemote(repository, remote)
  const { directory } = repository
  const refspec = `${spaceRefPrefix}*:${spaceRefPrefix}*`
  const { code, stdout, stderr } = await runGit(directory, ['push', '--porcelain', remote, refspec], { signal })
  const lines = stdout.toString('utf8').split('\n')
  const pushed = lines.flatMap((line): readonly PushedSpace[] => {
    const [, flag = '', space] = /^([ +*=!-])\t[^:\t]*:refs\/heads\/spaces\/([^\t]+)\t/.exec(line) ?? []
    if (space === undefined) return []
    return [{ space, outcome: flag === '!' ? 'rejected' : flag === '=' ? 'unchanged' : 'pushed' }]
  })
  // One that was rejected makes the whole command fail; that is an outcome. No outcome at all is none.
  if (code !== 0 && !pushed.some(({ outcome }) => outcome === 'rejected')) throw remoteFailure(remote, stderr)
  return pushed
}

export interface PullOptions {
  /** Whether a space is decided elsewhere, and left as it is. */
  readonly isElsewhere?: (space: string) => boolean
  /** The lease of a space that the caller holds. */
  readonly leaseOf?: (space: string) => HeldLease | null
  /** Ends the fetching. */
  readonly signal?: AbortSignal | undefined
}

/** What spaces are pulled into. */
interface PullTarget {
  readonly repository: Repository
  readonly refs: RefWriter
  readonly leases: Leases
  readonly spaceOf: (name: string) => GitSpace
}

/**
 * Takes what another repository has beyond the spaces here, one after the other.
 *
 * @param remote as of `pushSpaces`
 * @throws MeshError `invalid_request`, `remote_failed`, and what `adoptFetched` throws
 */
export async function pullSpaces(target: PullTarget, remote: string, o: PullOptions): Promise<readonly PulledSpace[]> {
  const { isElsewhere = () => false, leaseOf = () => null, signal } = o
  const { repository, refs, leases, spaceOf } = target
  const pulled: PulledSpace[] = []
  for (const [name, commit] of await fetchSpaces(repository, remote, signal)) {
    if (isElsewhere(name)) pulled.push({ space: name, outcome: 'shared', events: 0 })
    else {
      const space = spaceOf(name)
      pulled.push(await space.exclusively(() => adoptFetched(space, commit, { refs, leases, lease: leaseOf(name) })))
      await showBranch(repository, space.ref)
    }
  }
  return pulled
}

/** @returns the commit of each space there @throws MeshError `invalid_request`, `remote_failed` */
async function fetchSpaces(
  repository: Repository,
  remote: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  await checkRemote(repository, remote)
  const { directory } = repository
  const refspec = `+${spaceRefPrefix}*:${fetchedPrefix}*`
  // As a pack, however few they are: then there is one directory to sync.
  const command = ['-c', 'fetch.unpackLimit=1', 'fetch', '--quiet', '--prune', '--no-tags', '--no-write-fetch-head']
  const fetched = await runGit(directory, [...command, remote, refspec], { signal })
  if (fetched.code !== 0) throw remoteFailure(remote, fetched.stderr)
  syncDirectory(join(directory, 'objects', 'pack'))
  return listRefs(repository, fetchedPrefix)
}

/**
 * Moves a space to a commit that was fetched, if that continues it; every decision is checked before.
 *
 * @throws MeshError `log_corrupt`, `history_rewritten`, `lease_held`, `space_busy`, `storage_failed`
 */
async function adoptFetched(
  space: GitSpace,
  commit: string,
  { refs, leases, lease }: { readonly refs: RefWriter; readonly leases: Leases; readonly lease: HeldLease | null },
): Promise<PulledSpace> {
  // Who may not append is told before anything is read.
  await leases.fence(space.name, lease)
  space.settle()
  await space.ready()
  const { head } = space
  try {
    const events = await space.readAhead(commit)
    if (events === null) return { space: space.name, outcome: 'diverged', events: 0 }
    if (events === 0) return { space: space.name, outcome: 'unchanged', events }
    // It may have been renewed meanwhile, which makes another record of it.
    const fence = await leases.fence(space.name, lease)
    const outcome = await refs.change([fence, { ref: space.ref, from: head, to: commit }])
    if (outcome.kind !== 'committed') throw new MeshError('space_busy', { detail: `${space.name} is being changed.` })
    space.moved()
    return { space: space.name, outcome: 'pulled', events }
  } catch (error) {
    space.forget()
    throw error
  }
}

/** @throws MeshError `invalid_request`: it is no address, and no name that the repository has for one */
async function checkRemote({ directory }: Repository, remote: string): Promise<void> {
  if (addressPattern.test(remote)) return
  const names = (await git(directory, ['remote'])).split('\n')
  if (remote !== '' && names.includes(remote)) return
  throw new MeshError('invalid_request', {
    detail: 'A remote is an absolute path, a URL, host:path, or the name of a remote of the repository.',
    data: { field: 'remote' },
  })
}

function remoteFailure(remote: string, stderr: string): MeshError {
  return new MeshError('remote_failed', { detail: `${remote}: ${stderr.trim() || 'git said nothing'}` })
}
