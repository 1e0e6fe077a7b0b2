import { readFileSync } from 'node:fs'

/** The version of this package, from its package.json: the same file for the sources and for the build. */
export function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const version = manifest !== null && typeof manifest === 'object' && 'version' in manifest ? manifest.version : null
  if (typeof version !== 'string') throw new Error('package.json of the daemon has no version')
  return version
}
