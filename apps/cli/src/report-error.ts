/** How an error reaches the one who typed the command: what happened, what to do, and an exit code for scripts. */
import { type ExitCode, exitCodeByError } from './exit-codes.ts'
import { printable } from './output/printable.ts'
import type { Terminal } from './output/terminal.ts'
import { MeshError, toProblem } from './protocol.ts'

/**
 * Prints the error on stderr: `error: what happened` and `  -> what to do`, or its problem document with --json.
 *
 * @returns the exit code
 */
export function reportError(error: unknown, o: { readonly terminal: Terminal; readonly debug: boolean }): ExitCode {
  const { terminal, debug } = o
  const known = toMeshError(error)
  if (terminal.json) {
    terminal.note(JSON.stringify(toProblem(known)))
  } else {
    terminal.note(`${terminal.paintNote('red', 'error:')} ${printable(known.message)}`)
    for (const line of dataLines(known)) terminal.note(`  ${printable(line)}`)
    terminal.note(`  -> ${printable(known.hint)}`)
  }
  if (debug && error instanceof Error) terminal.note(error.stack ?? String(error))
  return exitCodeByError[known.code]
}

/** Members of a problem that help a person, and how they read. */
const shownData: Readonly<Record<string, (value: unknown) => string>> = {
  near: (value) => `did you mean ${listText(value)}?`,
  candidates: (value) => `candidates: ${listText(value)}`,
  field: (value) => `field: ${String(value)}`,
  conflict: (value) => `conflict: ${String(value)}`,
  client_message_id: (value) => `client_message_id: ${String(value)}`,
  outbox_id: (value) => `outbox_id: ${String(value)}`,
}

function dataLines(error: MeshError): readonly string[] {
  return Object.entries(error.data).flatMap(([member, value]) => {
    const show = Object.hasOwn(shownData, member) ? shownData[member] : undefined
    const empty = value === null || value === undefined || (Array.isArray(value) && value.length === 0)
    return show === undefined || empty ? [] : [show(value)]
  })
}

function listText(value: unknown): string {
  const items = Array.isArray(value) ? value : [value]
  return items.map((item) => (typeof item === 'object' ? JSON.stringify(item) : String(item))).join(', ')
}

/** Errors of the system that say enough by themselves. */
const systemErrors: Readonly<Record<string, 'unsafe_permissions' | 'storage_failed' | 'insufficient_storage'>> = {
  EACCES: 'unsafe_permissions',
  EPERM: 'unsafe_permissions',
  EROFS: 'storage_failed',
  EIO: 'storage_failed',
  ENOSPC: 'insufficient_storage',
  EDQUOT: 'insufficient_storage',
}

function toMeshError(error: unknown): MeshError {
  if (error instanceof MeshError) return error
  const detail = error instanceof Error ? error.message : String(error)
  const errno = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  const code = Object.hasOwn(systemErrors, errno) ? systemErrors[errno] : undefined
  if (code !== undefined) return new MeshError(code, { detail, cause: error })
  return new MeshError('internal_error', {
    detail: `this should not happen: ${detail}`,
    hint: 'Run it again with CLAUDEMESH_DEBUG=1 and report what it shows.',
    cause: error,
  })
}
