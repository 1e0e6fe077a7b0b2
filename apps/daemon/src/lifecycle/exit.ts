/** How a daemon leaves: the exit code of each reason, and the file that tells the next person why. */
import { rmSync } from 'node:fs'
import { closeCodes, type ErrorCode, errorCatalogue, MeshError } from '@claudemesh/protocol'
import { writeFileAtomic } from '@claudemesh/storage'

/** Why a daemon left or did not come up. `exitCode` is the process's, by sysexits. */
export interface Departure {
  readonly exitCode: number
  /** An error code of the catalogue or the name of a close code. */
  readonly name: string
  readonly reason: string
  readonly remedy: string
}

const exitCodes = {
  ok: 0,
  badData: 65,
  unavailable: 69,
  software: 70,
  io: 74,
  tryLater: 75,
  noPermission: 77,
  config: 78,
}

const byErrorCode: { readonly [C in ErrorCode]?: number } = {
  already_running: exitCodes.tryLater,
  config_invalid: exitCodes.config,
  host_changed: exitCodes.config,
  reset_unfinished: exitCodes.config,
  fleet_full: exitCodes.tryLater,
  outbox_max_age_above_dedupe_window: exitCodes.config,
  mesh_not_configured: exitCodes.config,
  unsafe_permissions: exitCodes.noPermission,
  database_corrupt: exitCodes.badData,
  schema_too_new: exitCodes.config,
  insufficient_storage: exitCodes.io,
  storage_failed: exitCodes.io,
}

/** The departure that an error at start, or one that ends the daemon, stands for. */
export function departureOf(error: unknown): Departure {
  const told =
    error instanceof MeshError
      ? error
      : new MeshError('start_failed', { detail: error instanceof Error ? error.message : String(error), cause: error })
  return {
    exitCode: byErrorCode[told.code] ?? exitCodes.software,
    name: told.code,
    reason: told.message,
    remedy: told.hint,
  }
}

/** The departure after a close code that ends the daemon (02 §7). */
export function departureOfClose(close: { code: number; name: string; reason: string }): Departure {
  const revoked = close.code === closeCodes.member_revoked.code
  const known = Object.hasOwn(errorCatalogue, close.name) ? errorCatalogue[close.name as ErrorCode] : null
  return {
    exitCode: revoked ? exitCodes.noPermission : exitCodes.unavailable,
    name: close.name,
    reason: `the broker closed the connection with ${close.code} ${close.name}: ${close.reason}`,
    remedy: known?.hint ?? 'See `claudemesh daemon logs`.',
  }
}

/** What `last-exit.json` holds. `code` is the exit code. */
interface LastExit {
  readonly at: number
  readonly code: number
  readonly name: string
  readonly reason: string
  readonly remedy: string
}

/** Leaves word. A disk that takes no file must not hide the reason itself, which stands on stderr and in the log too. */
export function recordDeparture(path: string, departure: Departure, now: number): void {
  const { exitCode: code, name, reason, remedy } = departure
  const lastExit: LastExit = { at: now, code, name, reason, remedy }
  try {
    writeFileAtomic(path, `${JSON.stringify(lastExit)}\n`, { mode: 0o600 })
  } catch (error) {
    if (!(error instanceof MeshError) && (error as NodeJS.ErrnoException).code === undefined) throw error
  }
}

/** A daemon that came up has no last exit to explain. */
export function forgetDeparture(path: string): void {
  rmSync(path, { force: true })
}
