/**
 * The invites that this host made or revoked, for the person who did: `daemon/<slug>/invites.jsonl`, one invite or one
 * revocation a line. It holds no token and no key. Who was let in on an invite is the broker's to say. A command that
 * succeeded has its line on the disk; what a power cut left of the line of another one is passed over.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InviteCertificate } from '@claudemesh/protocol'
import { appendLine, ensurePrivateDirectory } from '@claudemesh/storage'
import { daemonPaths, MeshError } from './protocol.ts'

export interface Place {
  readonly home: string
  readonly mesh: string
}

export interface LedgerInvite {
  readonly invite_id: string
  readonly role: string
  readonly uses: number
  /** Milliseconds since the epoch, both. */
  readonly created_at: number
  readonly expires_at: number
  /** When it was revoked from this host; null: it was not. What counts is the mesh's revocation list. */
  readonly revoked_at: number | null
}

interface Revoked {
  readonly invite_id: string
  readonly revoked_at: number
}

export function recordInvite(place: Place, certificate: InviteCertificate): LedgerInvite {
  const invite = {
    invite_id: certificate.invite_id,
    role: certificate.role,
    uses: certificate.uses,
    created_at: certificate.not_before,
    expires_at: certificate.not_after,
  }
  append(place, invite)
  return { ...invite, revoked_at: null }
}

export function recordRevokedInvite(place: Place, revoked: Revoked): void {
  append(place, revoked)
}

/** In the order in which they were made. */
export function listInvites(place: Place): readonly LedgerInvite[] {
  const path = ledgerPath(place)
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n')
  const entries = lines.filter(isWhole).map((line) => parseEntry(line, path))
  const revokedAt = new Map(entries.flatMap((entry) => ('role' in entry ? [] : [[entry.invite_id, entry.revoked_at]])))
  return entries.flatMap((entry) =>
    'role' in entry ? [{ ...entry, revoked_at: revokedAt.get(entry.invite_id) ?? null }] : [],
  )
}

function append(place: Place, entry: object): void {
  ensurePrivateDirectory(daemonPaths(place.home, place.mesh).directory)
  appendLine(ledgerPath(place), JSON.stringify(entry), { mode: 0o600 })
}

function ledgerPath({ home, mesh }: Place): string {
  return join(daemonPaths(home, mesh).directory, 'invites.jsonl')
}

/** Not so: the lines that a power cut left of an invite that nobody was told of, and the end of the file. */
function isWhole(line: string): boolean {
  return line.startsWith('{') && line.endsWith('}')
}

function parseEntry(line: string, path: string): LedgerInvite | Revoked {
  const broken = new MeshError('config_invalid', {
    detail: `${path} has a line that is no invite`,
    hint: 'Remove that line; the file is a list for people, nothing depends on it.',
  })
  let value: Partial<Record<keyof LedgerInvite, unknown>>
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new MeshError(broken.code, { detail: broken.message, hint: broken.hint, cause })
  }
  const { invite_id, role, uses, created_at, expires_at, revoked_at } = value
  if (typeof invite_id === 'string' && typeof revoked_at === 'number') return { invite_id, revoked_at }
  if (typeof invite_id !== 'string' || typeof role !== 'string' || typeof uses !== 'number') throw broken
  if (typeof created_at !== 'number' || typeof expires_at !== 'number') throw broken
  return { invite_id, role, uses, created_at, expires_at, revoked_at: null }
}
