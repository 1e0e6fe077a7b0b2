/**
 * What a failure of PostgreSQL means to the rest of the program, as one table. A failure that is not in it is ours: a
 * statement that is wrong, a row that broke a constraint.
 */
import { MeshError } from '@claudemesh/protocol'
import pg from 'pg'

interface Failure {
  readonly code: 'insufficient_storage' | 'storage_unavailable'
  readonly detail: string
}

const full: Failure = { code: 'insufficient_storage', detail: 'the disk of the database is full' }
const lost: Failure = { code: 'storage_unavailable', detail: 'the connection to the database was lost' }
const unreachable: Failure = { code: 'storage_unavailable', detail: 'the server of the database cannot be reached' }
const refused: Failure = {
  code: 'storage_unavailable',
  detail: 'the database does not take the user or the password of its URL',
}
const unknown: Failure = { code: 'storage_unavailable', detail: 'the server has no database of that name' }
const busy: Failure = { code: 'storage_unavailable', detail: 'the database took too long' }
const damaged: Failure = { code: 'storage_unavailable', detail: 'the disk of the database failed, or it is damaged' }
const readOnly: Failure = { code: 'storage_unavailable', detail: 'the database takes no writes' }
const contended: Failure = { code: 'storage_unavailable', detail: "transactions kept getting in each other's way" }

/** By SQLSTATE, or by its first two characters, the class. */
const bySqlState: Readonly<Record<string, Failure>> = {
  '08': lost,
  '25006': readOnly,
  '25P03': busy,
  '28': refused,
  '3D000': unknown,
  '40001': contended,
  '40P01': contended,
  '53': { code: 'storage_unavailable', detail: 'the database is out of memory, connections or locks' },
  '53100': full,
  '55P03': busy,
  '57': { code: 'storage_unavailable', detail: 'the database is shutting down, starting, or ended the statement' },
  '58': damaged,
  XX001: damaged,
  XX002: damaged,
}

/** What the operating system says when there is nobody to connect to. */
const unreachableCodes: ReadonlySet<unknown> = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
])

/**
 * The error that a failure of the database is reported as; any other thrown value is handed back as it is.
 *
 * @param connected whether the connection still answers. What the library itself throws when it does not has no code.
 */
export function toDatabaseError(error: unknown, { connected }: { readonly connected: boolean }): unknown {
  if (error instanceof MeshError) return error
  const state = error instanceof pg.DatabaseError ? (error.code ?? '') : ''
  const failure = bySqlState[state] ?? bySqlState[state.slice(0, 2)] ?? (connected ? null : withoutState(error))
  return failure === null ? error : new MeshError(failure.code, { detail: failure.detail, cause: error })
}

function withoutState(error: unknown): Failure {
  return error instanceof Error && 'code' in error && unreachableCodes.has(error.code) ? unreachable : lost
}

/** Whether the same transaction, run again from its start, may go through. */
export function isRetryable(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '40001' || error.code === '40P01')
}
