/** Reads one config.toml strictly: every fault is told with its file, its line and its key. */
import { readFileSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { sinkNamePattern } from '@claudemesh/protocol/sinks'
import { parse, TomlError } from 'smol-toml'
import { sectionNames, settingOf, settingsByName } from './config-keys.ts'
import { readTypedValue, type SettingValue } from './setting-forms.ts'
import { sinkSettings } from './sink-settings.ts'

export interface FileSetting {
  readonly name: string
  readonly value: SettingValue
  readonly line: number
}

/**
 * The settings that a file names; none when there is no such file.
 *
 * @throws MeshError config_invalid
 */
export function readConfigFile(path: string): readonly FileSetting[] {
  const text = readText(path)
  if (text === null) return []
  return Object.entries(parseToml(path, text)).flatMap(([section, keys]) => {
    if (section === 'sinks') return readSinks(path, text, keys)
    if (!sectionNames.includes(section)) {
      refuse(path, lineOf(text, section, null), section, `there is no section [${section}]`, [...sectionNames, 'sinks'])
    }
    return readSection(path, text, section, keys)
  })
}

/** Sinks have a section each, named after them. */
function readSinks(path: string, text: string, sections: unknown): readonly FileSetting[] {
  return Object.entries(asSection(path, text, 'sinks', sections)).flatMap(([name, keys]) => {
    const section = `sinks.${name}`
    if (!new RegExp(sinkNamePattern).test(name)) {
      refuse(path, lineOf(text, section, null), section, `${section} is no name of a sink: use a-z, 0-9 and -`, [])
    }
    return readSection(path, text, section, keys)
  })
}

/** A section within a section is one that is known by both names, as `artifacts.retention` is. */
function readSection(path: string, text: string, section: string, keys: unknown): readonly FileSetting[] {
  return Object.entries(asSection(path, text, section, keys)).flatMap(([key, value]) => {
    const inner = `${section}.${key}`
    return sectionNames.includes(inner)
      ? readSection(path, text, inner, value)
      : readSetting(path, text, section, key, value)
  })
}

function asSection(path: string, text: string, section: string, keys: unknown): object {
  if (keys === null || typeof keys !== 'object' || Array.isArray(keys) || keys instanceof Date) {
    refuse(path, lineOf(text, section, null), section, `${section} must be a section: [${section}]`, [])
  }
  return keys
}

function readSetting(path: string, text: string, section: string, key: string, value: unknown): FileSetting {
  const name = `${section}.${key}`
  const line = lineOf(text, section, key)
  const setting = settingOf(name)
  if (setting === undefined) {
    const known = [...settingsByName.keys(), ...Object.keys(sinkSettings).map((one) => `${section}.${one}`)]
    refuse(path, line, name, `there is no setting ${name}`, known)
  }
  const reading = readTypedValue(setting.form, value)
  if (!reading.ok) refuse(path, line, name, `${name} ${reading.fault}`, [])
  return { name, value: reading.value, line }
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

function refuse(file: string, line: number, key: string, sentence: string, known: readonly string[]): never {
  const near = nearest(key, known)
  const detail = `${file}:${line}: ${sentence}${near === null ? '' : `; did you mean ${near}?`}`
  throw new MeshError('config_invalid', { detail, data: { file, line, key } })
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
