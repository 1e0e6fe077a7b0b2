/** Where a file may stand in a package (06 §9). */
import { ArtifactError } from '../../artifact-error.ts'
import type { Session } from '../../db/spi.ts'
import { parentsOf } from '../../paths/path-conflicts.ts'
import type { RelativePath } from '../../paths/relative-path.ts'
import { type FileRow, findFileByKey, hasFilesBelow } from '../statements.ts'

/**
 * Whether a file may stand there.
 *
 * @returns the one whose place it takes
 * @throws ArtifactError `duplicate_path`, `path_collision`, `too_many_files`
 */
export async function checkPlace(
  session: Session,
  o: {
    readonly packageId: string
    readonly path: RelativePath
    readonly replace: boolean
    readonly fileCount: number
    readonly filesMax: number
  },
): Promise<FileRow | null> {
  const { packageId, path, replace, fileCount, filesMax } = o
  const present = await findFileByKey(session, packageId, path.path_key)
  if (present !== null) {
    if (present.relative_path !== path.relative_path) throw pathCollision(`another spelling of it is there`)
    if (!replace) {
      throw new ArtifactError('duplicate_path', {
        data: { file_id: present.file_id, content_address: present.content_address },
      })
    }
    return present
  }
  for (const parent of parentsOf(path.path_key)) {
    if ((await findFileByKey(session, packageId, parent)) !== null)
      throw pathCollision('a file is where it needs a directory')
  }
  if (await hasFilesBelow(session, packageId, path.path_key)) throw pathCollision('a directory of that name is there')
  if (fileCount >= filesMax) {
    throw new ArtifactError('too_many_files', { detail: `A package has at most ${filesMax} files.` })
  }
  return null
}

function pathCollision(why: string): ArtifactError {
  return new ArtifactError('path_collision', { detail: `The path cannot stand in the package: ${why}.` })
}
