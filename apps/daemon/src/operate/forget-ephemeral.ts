import { existsSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { readMeshFile } from '@claudemesh/identity'
import { daemonPaths, meshFilePath } from '@claudemesh/protocol'
import { crashPoint, syncDirectory } from '@claudemesh/storage'

export interface EphemeralPlace {
  readonly home: string
  /** Of the mesh. */
  readonly slug: string
}

/**
 * Removes what an ephemeral member leaves in a home: keys and stores, then the mesh file, which says until the end whose
 * remains the others are; so that killed at any moment the next `join` finds either all of it gone or what it has to
 * remove. A power cut after it brings nothing back. Log and configuration stay. Needs the daemon's lock.
 */
export function forgetEphemeral({ home, slug }: EphemeralPlace): void {
  const paths = daemonPaths(home, slug)
  const meshFile = meshFilePath(home, slug)
  const databases = [paths.outboxDatabase, paths.inboxDatabase, paths.membersDatabase, paths.eventsDatabase]
  const files = [paths.keypair, paths.keypairArchive, paths.rotationIntent, paths.hostFingerprint]
  for (const path of [...files, ...databases.flatMap((path) => [path, `${path}-wal`, `${path}-shm`])]) {
    rmSync(path, { force: true })
  }
  for (const directory of [paths.artifacts, paths.history]) rmSync(directory, { recursive: true, force: true })
  syncDirectory(paths.directory)
  crashPoint('daemon.forget.half-done')
  rmSync(meshFile, { force: true })
  syncDirectory(dirname(meshFile))
}

/** Whether a home holds an ephemeral member whose keys ended with the process that had them. */
export function isEphemeralRemains({ home, slug }: EphemeralPlace): boolean {
  const meshFile = meshFilePath(home, slug)
  if (!existsSync(meshFile) || existsSync(daemonPaths(home, slug).keypair)) return false
  return readMeshFile(meshFile).ephemeralTtlMs !== undefined
}
