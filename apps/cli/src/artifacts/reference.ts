/** How a command line names a file of the store. */
import type { Artifacts, Download, Files } from '@claudemesh/client'
import type { ArtifactFile } from '@claudemesh/protocol/artifacts'
import type { ArgumentDefinition } from '../command.ts'
import { invalidUsage } from '../flags.ts'
import { MeshError } from '../protocol.ts'

export const referenceArgument: ArgumentDefinition = {
  syntax: '<ref>',
  describe: 'a file or a share: its id, <id of a package or a share>/<path>, or a content address',
}

export type FileReference =
  | { readonly kind: 'file'; readonly id: string }
  | { readonly kind: 'path'; readonly packageId: string; readonly path: string }
  | { readonly kind: 'content'; readonly address: string }

const ulid = '[0-7][0-9A-HJKMNP-TV-Z]{25}'

/** @throws MeshError invalid_usage */
export function parseReference(text: string): FileReference {
  if (new RegExp(`^${ulid}$`).test(text)) return { kind: 'file', id: text }
  const [, packageId, path] = new RegExp(`^(${ulid})/(.+)$`, 's').exec(text) ?? []
  if (packageId !== undefined && path !== undefined) return { kind: 'path', packageId, path }
  if (/^[a-z][a-z0-9_-]*:[0-9a-f]+$/.test(text)) return { kind: 'content', address: text }
  throw invalidUsage(`"${text}" names no file: a file is its id, <package id>/<path>, or a content address`)
}

/** @throws MeshError file_not_found, package_not_found */
export async function findFile(
  artifacts: Artifacts,
  reference: Exclude<FileReference, { kind: 'content' }>,
): Promise<ArtifactFile> {
  if (reference.kind === 'file') return await artifacts.file(reference.id)
  const path = reference.path.normalize('NFC')
  for await (const file of artifacts.eachFile(reference.packageId)) if (file.relative_path === path) return file
  throw new MeshError('file_not_found', { detail: `the package has no file ${reference.path}` })
}

/** The bytes that a reference leads to; a share that was received is fetched first. */
export async function download(files: Files, text: string, signal: AbortSignal): Promise<Download> {
  const reference = parseReference(text)
  switch (reference.kind) {
    case 'content':
      return await files.get(reference.address, { signal })
    case 'file':
      return await files.get(reference.id, { signal })
    case 'path':
      return await files.get(reference.packageId, { path: reference.path, signal })
    default:
      return reference satisfies never
  }
}
