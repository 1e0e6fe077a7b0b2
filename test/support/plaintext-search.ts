/** Looks for plaintexts in bytes, in every form in which they might have been written down. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes and where they come from. */
export interface Haystack {
  readonly name: string
  readonly bytes: Buffer
}

/** One form of one plaintext. */
export interface Needle {
  readonly text: string
  readonly form: string
  readonly bytes: Buffer
}

/** All forms of a text: as it is, escaped, in hex, and in base64 wherever it starts in what was encoded. */
export function formsOf(text: string): Needle[] {
  const utf8 = Buffer.from(text, 'utf8')
  const hex = utf8.toString('hex')
  const escaped = JSON.stringify(text).slice(1, -1)
  const ascii = escaped.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const forms = new Map<string, Buffer>([
    ['plain', utf8],
    ['UTF-16', Buffer.from(text, 'utf16le')],
    ['JSON', Buffer.from(escaped)],
    ['JSON in ASCII', Buffer.from(ascii)],
    ['JSON in JSON', Buffer.from(JSON.stringify(escaped).slice(1, -1))],
    ['hex', Buffer.from(hex)],
    ['upper-case hex', Buffer.from(hex.toUpperCase())],
    ['URL', Buffer.from(encodeURIComponent(text))],
    ['its hash', createHash('sha256').update(utf8).digest()],
    ['its hash in hex', Buffer.from(createHash('sha256').update(utf8).digest('hex'))],
  ])
  for (const encoding of ['base64', 'base64url'] as const) {
    for (const before of [0, 1, 2]) forms.set(`${encoding} after ${before}`, alignedBase64(utf8, before, encoding))
  }
  return [...forms].map(([form, bytes]) => ({ text, form, bytes }))
}

/** The characters that depend on these bytes alone when they stand `before` bytes into a group of three. */
function alignedBase64(bytes: Buffer, before: number, encoding: 'base64' | 'base64url'): Buffer {
  const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString(encoding)
  return Buffer.from(encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6)))
}

/** @returns one line per needle and haystack in which it is */
export function findAll(needles: readonly Needle[], haystacks: readonly Haystack[]): string[] {
  return haystacks.flatMap(({ name, bytes }) =>
    needles
      .filter((needle) => bytes.includes(needle.bytes))
      .map(({ text, form }) => `${JSON.stringify(text)} (${form}) in ${name}`),
  )
}

/** Every file below a directory as it is on the disk now, write-ahead logs included. */
export function filesIn(directory: string): Haystack[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((path) => join(directory, path))
    .filter((path) => statSync(path).isFile())
    .map((path) => ({ name: path.slice(directory.length + 1), bytes: readFileSync(path) }))
}

export function countBytes(haystacks: readonly Haystack[]): number {
  return haystacks.reduce((sum, { bytes }) => sum + bytes.length, 0)
}
