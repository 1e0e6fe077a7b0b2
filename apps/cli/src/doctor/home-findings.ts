/** What the files of a home say without a daemon: who may read them, whether the member's certificates hold, room. */
import { existsSync } from 'node:fs'
import { type MeshFile, verifyChain } from '@claudemesh/identity'
import type { Condition, DaemonPaths } from '@claudemesh/protocol'
import { assertPrivateFile, ensurePrivateDirectory, measureDisk } from '@claudemesh/storage'
import { formatBytes, formatTime } from '../output/quantity.ts'
import { homePaths, MeshError, meshFilePath } from '../protocol.ts'
import { finding } from './findings.ts'

/** How long before its end a certificate is told of. */
const expiryMsNoted = 30 * 86_400_000

export function permissionFindings(home: string, mesh: string, paths: DaemonPaths): readonly Condition[] {
  const directories = [home, homePaths(home).meshes, paths.directory]
  const files = [
    meshFilePath(home, mesh),
    paths.keypair,
    paths.keypairArchive,
    paths.hostFingerprint,
    paths.localToken,
    paths.socket,
    paths.outboxDatabase,
    paths.inboxDatabase,
  ]
  return [
    ...directories.filter(existsSync).flatMap((path) => whatIsOpen(() => ensurePrivateDirectory(path))),
    ...files.filter(existsSync).flatMap((path) => whatIsOpen(() => assertPrivateFile(path))),
  ]
}

function whatIsOpen(check: () => void): readonly Condition[] {
  try {
    check()
    return []
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'unsafe_permissions') throw error
    return [finding('open_to_others', error.message, `\`${String(error.data['command'])}\``)]
  }
}

export function certificateFindings({ mesh, chain }: MeshFile, now: number): readonly Condition[] {
  const verdict = verifyChain({ mesh, chain, now })
  if (!verdict.ok) return [finding('certificate_invalid', verdict.reason)]
  const ends = chain.flatMap((certificate) =>
    certificate.kind === 'member' && certificate.not_after !== undefined ? [certificate.not_after] : [],
  )
  const first = Math.min(...ends)
  return first - now > expiryMsNoted ? [] : [finding('certificate_expires', `at ${formatTime(first)}`)]
}

/** Of a home whose daemon does not say so itself. */
export function diskFindings(directory: string): readonly Condition[] {
  const { pressure, availableBytes } = measureDisk({ directory, budgetBytes: null })
  return pressure === 'ok' ? [] : [finding('disk_low', `${formatBytes(availableBytes)} are left`)]
}
