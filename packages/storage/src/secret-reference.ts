import { readFile } from 'node:fs/promises'

/**
 * Reads a secret from where a setting says that it is, so that settings hold none: `env:NAME`, or `file:` and the absolute
 * path of a mounted file, whose line end is not part of it.
 *
 * @throws RangeError: it is no reference; Error: there is nothing where it leads
 */
export async function readSecretReference(reference: string): Promise<string> {
  const [kind, place = ''] = reference.split(/:(.*)/s, 2)
  const isFile = kind === 'file' && place.startsWith('/')
  if (!isFile && (kind !== 'env' || place === '')) {
    throw new RangeError('a secret is named by env:NAME or by file: and an absolute path')
  }
  const secret = isFile ? (await readFile(place, 'utf8')).trimEnd() : process.env[place]
  if (secret === undefined || secret === '') throw new Error(`there is no secret at ${reference}`)
  return secret
}
