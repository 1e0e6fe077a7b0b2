/**
 * The files of relayed blobs against the rows that name them, while brokers come and go with both. A row is there before its
 * file and goes after it; so what was looked at first is looked at again before it is said to be wrong.
 */
import { existsSync, readFileSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContentAddress, listObjects, objectKey } from '@claudemesh/artifacts/blobs'
import type { BlobRows, KeptObject } from '../store/inspection/blob-files/statements.ts'

export type FileFinding =
  | { readonly name: 'blob_file_missing'; readonly row: { readonly address: string; readonly file: string } }
  | { readonly name: 'blob_file_unknown'; readonly row: { readonly file: string; readonly bytes: number } }

const rowsMax = 500

/**
 * Looks at the directory of a broker's blobs, and changes nothing.
 *
 * @returns null: the bytes are not in this directory, but in a bucket or at another place
 */
export async function examineBlobFiles(rows: BlobRows, directory: string): Promise<readonly FileFinding[] | null> {
  const place = await rows.readPlace()
  if (place === null || !isPlace(directory, place)) return null
  const root = join(directory, 'objects')
  return [...(await listMissing(rows, root)), ...(await listUnknown(rows, root))]
}

function isPlace(directory: string, name: string): boolean {
  const path = join(directory, 'place')
  return existsSync(path) && readFileSync(path, 'utf8').trim() === name
}

async function listMissing(rows: BlobRows, root: string): Promise<readonly FileFinding[]> {
  const found: FileFinding[] = []
  let after = ''
  for (let page: readonly KeptObject[] | null = null; page === null || page.length === rowsMax; ) {
    page = await rows.listKept(after, rowsMax)
    after = page.at(-1)?.address ?? after
    for (const object of page) {
      const file = fileOf(root, object.address)
      if ((await hasSize(file, object.sizeBytes)) || !(await rows.isKept(object.address))) continue
      found.push({ name: 'blob_file_missing', row: { address: object.address, file } })
    }
  }
  return found
}

async function listUnknown(rows: BlobRows, root: string): Promise<readonly FileFinding[]> {
  const found: FileFinding[] = []
  for await (const { address, size } of listObjects(root, '')) {
    if (await rows.isKnown(address)) continue
    const file = fileOf(root, address)
    if (await hasSize(file, size)) found.push({ name: 'blob_file_unknown', row: { file, bytes: size } })
  }
  return found
}

async function hasSize(file: string, bytes: number): Promise<boolean> {
  const stats = await lstat(file).catch(() => null)
  return stats?.isFile() === true && stats.size === bytes
}

function fileOf(root: string, address: string): string {
  return join(root, objectKey(address as ContentAddress))
}
