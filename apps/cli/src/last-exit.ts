/** Why a daemon left the last time, as it wrote it down itself. */
import { readFileSync } from 'node:fs'

export interface LastExit {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly code: number
  readonly name: string
  readonly reason: string
  readonly remedy: string | null
}

/** @returns null when it left no word, or one that cannot be read */
export function readLastExit(path: string): LastExit | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    // No file, or none that is for us: either way nothing is known, and the caller says that much.
    return null
  }
  return parseLastExit(text)
}

export function parseLastExit(text: string): LastExit | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Something else wrote the file.
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { at, code, name, reason, remedy }: Partial<Record<keyof LastExit, unknown>> = value
  if (typeof at !== 'number' || typeof name !== 'string' || typeof reason !== 'string') return null
  return {
    at,
    code: typeof code === 'number' ? code : 1,
    name,
    reason,
    remedy: typeof remedy === 'string' && remedy !== '' ? remedy : null,
  }
}
