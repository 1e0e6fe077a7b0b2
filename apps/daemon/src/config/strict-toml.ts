/** TOML read strictly: a fault is told with its file, its line and its key, and with the known name that was meant. */
import { readFileSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { parse, TomlError } from 'smol-toml'

export interface TomlFile {
  readonly path: string
  readonly text: string
  readonly document: Readonly<Record<string, unknown>>
}

/**
 * @returns null when there is no such file
 * @throws MeshError config_invalid
 */
export function readTomlFile(path: string): TomlFile | null {
  const text = readText(path)
  return text === null ? null : { path, text, document: parseToml(path, text) }
}

/** @throws MeshError config_invalid when it is a value and no section */
export function asSection(file: TomlFile, section: string, keys: unknown): object {
  if (keys === null || typeof keys !== 'object' || Array.isArray(keys) || keys instanceof Date) {
    const sentence = `${section} must be a section: [${section}]`
    refuse(file, { line: lineOf(file.text, section, null), key: section, sentence })
  }
  return keys
}

/**
 * @param fault.known names of which one may have been meant
 * @throws MeshError config_invalid
 */
export function refuse(
  { path }: TomlFile,
  fault: {
    readonly line: number
    readonly key: string
    readonly sentence: string
    readonly known?: readonly string[]
  },
): never {
  const { line, key, sentence, known = [] } = fault
  const near = nearest(key, known)
  const detail = `${path}:${line}: ${sentence}${near === null ? '' : `; did you mean ${near}?`}`
  throw new MeshError('config_invalid', { detail, data: { file: path, line, key } })
}

/**
 * The line on which a section or a key of it is written. The parser does not tell; this looks for the forms that
 * people use (`[section]` with `key =`, and `section.key =`), and falls back to the section's own line.
 */
export function lineOf(text: string, section: string, key: string | null): number {
  let current = ''
  let sectionLine = 1
  for (const [index, line] of text.split('\n').entries()) {
    const header = /^\s*\[\s*([^\]#]+?)\s*\]/.exec(line)
    if (header?.[1] !== undefined) current = unquote(header[1])
    if (header !== null && key !== null && current === `${section}.${key}`) return index + 1
    const assigned = header === null ? /^\s*([^=#]+?)\s*=/.exec(line)?.[1] : undefined
    const name = assigned === undefined ? '' : assigned.split('.').map(unquote).join('.')
    const full = current === '' ? name : `${current}.${name}`
    if (key !== null && full === `${section}.${key}`) return index + 1
    const opensSection = (header !== null && current === section) || full === section || full.startsWith(`${section}.`)
    if (opensSection && sectionLine === 1) sectionLine = index + 1
    if (key === null && opensSection) return index + 1
  }
  return sectionLine
}

function unquote(name: string): string {
  return name.trim().replace(/^(["'])(.*)\1$/, '$2')
}

/** The known name that differs least, when it is close enough to be what was meant. */
export function nearest(name: string, known: readonly string[]): string | null {
  let best: { name: string; distance: number } | null = null
  for (const candidate of known) {
    const distance = editDistance(name, candidate)
    if (distance <= Math.max(2, Math.floor(candidate.length / 4)) && (best === null || distance < best.distance)) {
      best = { name: candidate, distance }
    }
  }
  return best?.name ?? null
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substituted, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new MeshError('config_invalid', { detail: `${path} cannot be read`, data: { file: path }, cause })
  }
}

function parseToml(path: string, text: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const [sentence = 'not valid TOML'] = cause.message.replace(/^Invalid TOML document: /, '').split('\n')
    throw new MeshError('config_invalid', {
      detail: `${path}:${cause.line}: ${sentence}`,
      data: { file: path, line: cause.line },
      cause,
    })
  }
}
