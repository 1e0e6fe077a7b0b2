/** Which files may run as hooks: what nobody but this user can have written, and what stays inside the directory. */
import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'

const writableByOthers = 0o022
const executableByOwner = 0o100

/**
 * Why a file may not run, with the command that mends it; null when it may.
 *
 * @param directory that of the hooks, which is private
 */
export function findFault(directory: string, name: string): string | null {
  const path = `${directory}/${name}`
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return `there is no file ${path}`
  const real = realOf(path)
  if (real === null) return `${path} leads nowhere`
  if (!`${real}/`.startsWith(`${realpathSync(directory)}/`)) return `${path} is a link that leads out of ${directory}`
  const stats = statSync(real)
  if (!stats.isFile()) return `${path} is no file`
  return (
    findOwnerFault(path, stats) ??
    findOwnerFault(dirname(real), statSync(dirname(real))) ??
    ((stats.mode & executableByOwner) === 0 ? `${path} is not executable; run: chmod 700 ${path}` : null)
  )
}

/** Why somebody else may have changed a file, or null. */
export function findOwnerFault(path: string, { uid, mode }: Stats): string | null {
  const own = process.geteuid?.()
  if (own !== undefined && uid !== own) return `${path} belongs to user ${uid}, not to ${own}`
  if ((mode & writableByOthers) !== 0) return `${path} can be written by others; run: chmod go-w ${path}`
  return null
}

function realOf(path: string): string | null {
  try {
    return realpathSync(path)
  } catch {
    // Nowhere, or in a circle.
    return null
  }
}
