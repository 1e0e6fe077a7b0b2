/** A disk that is really full: a small file system of its own. Mounting one needs root; without it tests are skipped, and counted. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  /** For this user alone. */
  readonly path: string
  /** Leaves so many bytes free. */
  fill(bytesLeft: number): void
  empty(): void
  /** Also while files of it are open. */
  unmount(): void
}

/** Mounts one at a path, which is made. */
export function mountSmallDisk(path: string, bytes: number): SmallDisk {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', path])
  const ballast = join(path, 'ballast')
  return {
    path,
    fill: (bytesLeft) => {
      const { bavail, bsize } = statfsSync(path)
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - bytesLeft)))
    },
    empty: () => rmSync(ballast),
    unmount: () => void execFileSync('umount', ['-l', path]),
  }
}

export const canMount = tryToMount()

function tryToMount(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'cm-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'ignore' })
    execFileSync('umount', [directory])
    return true
  } catch {
    // Not root, or a container without the right to mount.
    return false
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
