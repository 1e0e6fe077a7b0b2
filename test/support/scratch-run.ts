/**
 * Where the tests of one run have their temporary files: on a disk, and in memory where the machine has room. What is in
 * memory goes when the run ends, with whatever killed processes left there.
 */
import { chmodSync, existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  export interface ProvidedContext {
    scratchPlaces: {
      readonly disk: string
      /** Null: this machine has no room in memory. */
      readonly memory: string | null
    }
  }
}

/** Where Linux keeps files in memory. */
const memory = '/dev/shm'
const roomBytesMin = 4 * 1024 ** 3
let directory: string | null = null

export function setup(project: TestProject): void {
  if (hasRoom()) {
    // Short, since the path of a socket must be.
    directory = mkdtempSync(join(memory, 'cm-'))
    // PostgreSQL, which does not run as root, has its files below it.
    chmodSync(directory, 0o711)
  }
  project.provide('scratchPlaces', { disk: tmpdir(), memory: directory })
}

export function teardown(): void {
  if (directory !== null) rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}

function hasRoom(): boolean {
  if (!existsSync(memory)) return false
  const { bavail, bsize } = statfsSync(memory)
  return bavail * bsize > roomBytesMin
}
