/** Where the body of a message, or a token, comes from: the command line, a file, or stdin. */
import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { invalidUsage } from './flags.ts'

export interface TextSources {
  /** On the command line; `-` means stdin. */
  readonly text: string | null
  readonly file: string | null
}

/** How a message for the person calls what is read, and the option that names a file of it. */
export interface TextNames {
  readonly what: string
  readonly fileOption: string
}

/**
 * Reads the one source that was named. The text of a file or of stdin is taken whole, with its last newline.
 *
 * @throws MeshError invalid_usage when there is none, more than one, or it cannot be read as UTF-8
 */
export async function readText({ text, file }: TextSources, { what, fileOption }: TextNames): Promise<string> {
  if (text !== null && file !== null)
    throw invalidUsage(`${what} is given twice, on the command line and by ${fileOption}`)
  if (file !== null) return readTextFile(file)
  if (text === null) {
    throw invalidUsage(`${what} is missing`, `Give it as an argument, with ${fileOption} <path>, or - for stdin.`)
  }
  return text === '-' ? decodeText(await buffer(process.stdin), 'stdin') : text
}

/** @throws MeshError invalid_usage */
export function readTextFile(path: string): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    throw invalidUsage(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  return decodeText(bytes, path)
}

function decodeText(bytes: Buffer, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    // The decoder says no more than that either.
    throw invalidUsage(
      `${source} is not text in UTF-8`,
      'A message is text: encode other bytes, or send where they are.',
    )
  }
}
