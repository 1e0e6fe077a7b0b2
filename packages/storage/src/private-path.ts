/**
 * Files and directories that are nobody else's business: owned by this user, closed to group and others. What is not so
 * is refused with the command that mends it; nothing is mended silently, because a secret that was readable is no
 * longer one.
 */
import { mkdirSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { syncDirectory } from './atomic-file.ts'

const othersMask = 0o077

/**
 * Makes a directory and those above it as far as they are missing (0700, names durable), or checks the one that is
 * there.
 *
 * @throws MeshError `unsafe_permissions`
 */
export function ensurePrivateDirectory(path: string): void {
  makeDirectory(path)
  assertPrivate(path, { stats: statSync(path), chmod: '700' })
}

/** Makes a directory and those above it as far as they are missing (0700, names durable); one that is there is as it is. */
export function makeDirectory(path: string): void {
  const firstMade = mkdirSync(path, { recursive: true, mode: 0o700 })
  if (firstMade !== undefined) syncNewNames(path, firstMade)
}

/**
 * Checks a file. One that is missing is ENOENT, thrown as it is.
 *
 * @throws MeshError `unsafe_permissions`
 */
export function assertPrivateFile(path: string): void {
  assertPrivate(path, { stats: statSync(path), chmod: '600' })
}

function assertPrivate(path: string, found: { readonly stats: Stats; readonly chmod: string }): void {
  const uid = process.geteuid?.()
  if (uid !== undefined && found.stats.uid !== uid) {
    throw unsafe(`${path} belongs to user ${found.stats.uid}, not to ${uid}`, `chown ${uid} ${shellQuote(path)}`)
  }
  if ((found.stats.mode & othersMask) !== 0) {
    const mode = (found.stats.mode & 0o777).toString(8)
    throw unsafe(`${path} is open to others (mode ${mode})`, `chmod ${found.chmod} ${shellQuote(path)}`)
  }
}

function unsafe(what: string, command: string): MeshError {
  return new MeshError('unsafe_permissions', { detail: `${what}; run: ${command}`, data: { command } })
}

function shellQuote(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}

function syncNewNames(path: string, firstMade: string): void {
  for (let made = path; made.length >= firstMade.length; made = dirname(made)) syncDirectory(dirname(made))
}
