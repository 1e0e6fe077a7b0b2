/**
 * JSON files with secrets in them: 0600 in a 0700 directory, written whole or not at all, checked when read.
 * No error tells what is in such a file, only which one it is and which member of it is wrong.
 */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { assertPrivateFile, ensurePrivateDirectory, writeFileAtomic } from '@claudemesh/storage'
import type { Static, TSchema } from 'typebox'
import type { Validator } from 'typebox/compile'

/** @throws MeshError `unsafe_permissions` when the directory is not private */
export function writePrivateJson(path: string, value: unknown): void {
  ensurePrivateDirectory(dirname(path))
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
}

/**
 * @returns null when there is no such file
 * @throws MeshError `unsafe_permissions`, or `config_invalid` when the content does not fit the schema
 */
export function readPrivateJson<S extends TSchema>(
  path: string,
  check: Validator<Record<string, never>, S>,
): Static<S> | null {
  const text = readPrivateText(path)
  if (text === null) return null
  const value = parse(text, path)
  if (check.Check(value)) return value
  const [fault] = check.Errors(value)
  throw new MeshError('config_invalid', { detail: `${path}: ${fault?.instancePath || 'the document'} does not fit` })
}

function readPrivateText(path: string): string | null {
  try {
    assertPrivateFile(path)
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message would quote the file, which holds secrets.
    throw new MeshError('config_invalid', { detail: `${path} is not a JSON document` })
  }
}
