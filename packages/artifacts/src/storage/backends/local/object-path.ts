import { join, sep } from 'node:path'
import type { ContentAddress } from '../../../identity/content-address.ts'
import { objectKey } from '../../object-key.ts'

/** Where an object stands below the root: its name, and the directories it is spread over, outermost first. */
export interface ObjectPlace {
  readonly objectKey: string
  readonly path: string
  readonly shards: readonly string[]
}

/** @throws ArtifactError `invalid_content_address`: the text is none, and never becomes a path */
export function objectPlace(root: string, address: ContentAddress): ObjectPlace {
  const key = objectKey(address)
  const names = key.split('/')
  const shards = names.slice(0, -1).map((_, index) => join(root, ...names.slice(0, index + 1)))
  const path = join(root, ...names)
  // The grammar of addresses has no separator and no dot; this is the second look at it.
  if (!path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`)) throw new Error('an object outside of its root')
  return { objectKey: key, path, shards }
}
