/** Objects of git and what they are called. */
import { hash } from 'node:crypto'

/** How a repository names its objects. */
export type ObjectFormat = 'sha1' | 'sha256'

export type ObjectType = 'commit' | 'tree' | 'blob'

/** One object, not compressed and without its header. */
export interface GitObject {
  readonly type: ObjectType
  readonly body: Buffer
  readonly id: Buffer
}

/** Makes an object of its content, and its id by it. */
export function makeObject(format: ObjectFormat, type: ObjectType, body: Buffer): GitObject {
  const id = hash(format, Buffer.concat([Buffer.from(`${type} ${body.length}\0`), body]), 'buffer')
  return { type, body, id }
}

/** The id of an object whose body is text in UTF-8, hexadecimal. */
export function textObjectId(format: ObjectFormat, type: ObjectType, text: string): string {
  return hash(format, `${type} ${Buffer.byteLength(text)}\0${text}`, 'hex')
}

/** The id of a tree of one file, hexadecimal. @param id of the file's content */
export function treeOfFileId(format: ObjectFormat, name: string, id: string): string {
  const tree = treeOfFile(format, name)
  tree.write(id, tree.length - id.length / 2, 'hex')
  return hash(format, tree, 'hex')
}

const trees = new Map<string, Buffer>()

/** Its bytes but for the id, which are the same for all of a name. */
function treeOfFile(format: ObjectFormat, name: string): Buffer {
  const known = trees.get(`${format} ${name}`)
  if (known !== undefined) return known
  const idBytes = format === 'sha1' ? 20 : 32
  const entry = Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.alloc(idBytes)])
  const tree = Buffer.concat([Buffer.from(`tree ${entry.length}\0`), entry])
  trees.set(`${format} ${name}`, tree)
  return tree
}
