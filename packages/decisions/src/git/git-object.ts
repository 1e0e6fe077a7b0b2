/** Objects of git and what they are called. */
import { createHash, hash } from 'node:crypto'

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
  const id = createHash(format).update(`${type} ${body.length}\0`).update(body).digest()
  return { type, body, id }
}

/** The id of an object, hexadecimal. */
export function objectId(format: ObjectFormat, type: ObjectType, body: Buffer): string {
  return hash(format, Buffer.concat([Buffer.from(`${type} ${body.length}\0`), body]), 'hex')
}

/** As `objectId`, of a body that is text in UTF-8. */
export function textObjectId(format: ObjectFormat, type: ObjectType, text: string): string {
  return hash(format, `${type} ${Buffer.byteLength(text)}\0${text}`, 'hex')
}
