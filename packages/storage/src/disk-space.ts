/** How much of the disk this program uses and may still use, and when that becomes a reason to act (03 §2). */
import { lstatSync, readdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'

/** `high`: somebody should know. `full`: nothing new is accepted; reading and draining go on. */
export type DiskPressure = 'ok' | 'high' | 'full'

export interface DiskMeasurement {
  /** Bytes that the directory occupies on disk. */
  readonly usedBytes: number
  readonly budgetBytes: number | null
  /** Bytes that can still be written: what the file system has left, or less when the budget allows less. */
  readonly availableBytes: number
  readonly pressure: DiskPressure
}

const highShare = 0.8
const fullShare = 0.95
/** `stat` counts blocks of this size, whatever the file system's own is. */
const statBlockBytes = 512

/**
 * Measures one directory and its file system. It visits every file below the directory, so call it by a timer and not
 * by request.
 */
export function measureDisk(options: {
  readonly directory: string
  readonly budgetBytes: number | null
  /** What is not visited, since somebody else knows how much it is, wherever it lies. */
  readonly known?: { readonly directory: string; readonly bytes: number }
}): DiskMeasurement {
  const { directory, budgetBytes, known } = options
  const usedBytes = occupiedBytes(directory, known?.directory) + (known?.bytes ?? 0)
  const fileSystem = statfsSync(directory)
  const freeBytes = fileSystem.bavail * fileSystem.bsize
  // Blocks reserved for root are neither used nor available; df leaves them out in the same way.
  const takenBytes = (fileSystem.blocks - fileSystem.bfree) * fileSystem.bsize
  const budgetLeftBytes = budgetBytes === null ? freeBytes : Math.max(0, budgetBytes - usedBytes)
  return {
    usedBytes,
    budgetBytes,
    availableBytes: Math.min(freeBytes, budgetLeftBytes),
    pressure: judgePressure([
      { takenBytes, sizeBytes: takenBytes + freeBytes },
      ...(budgetBytes === null ? [] : [{ takenBytes: usedBytes, sizeBytes: budgetBytes }]),
    ]),
  }
}

/** The pressure of whichever is fullest. */
export function judgePressure(
  bounds: readonly { readonly takenBytes: number; readonly sizeBytes: number }[],
): DiskPressure {
  const share = Math.max(...bounds.map((bound) => (bound.sizeBytes > 0 ? bound.takenBytes / bound.sizeBytes : 1)))
  if (share >= fullShare) return 'full'
  return share >= highShare ? 'high' : 'ok'
}

function occupiedBytes(directory: string, except?: string): number {
  if (directory === except) return 0
  let bytes = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    bytes += entry.isDirectory() ? occupiedBytes(path, except) : blocksOf(path) * statBlockBytes
  }
  return bytes
}

function blocksOf(path: string): number {
  // A file that went away since the directory was read occupies nothing.
  return lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0
}
