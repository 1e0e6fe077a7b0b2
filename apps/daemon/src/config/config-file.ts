/** Reads one config.toml strictly: every fault is told with its file, its line and its key. */
import { sinkNamePattern } from '@claudemesh/protocol/sinks'
import { sectionNames, settingOf, settingsByName } from './config-keys.ts'
import { readTypedValue, type Setting, type SettingValue } from './setting-forms.ts'
import { sinkSettings } from './sink-settings.ts'
import { asSection, lineOf, readTomlFile, refuse, type TomlFile } from './strict-toml.ts'

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
  const file = readTomlFile(path)
  if (file === null) return []
  return Object.entries(file.document).flatMap(([section, keys]) => {
    if (section === 'sinks') return readSinks(file, keys)
    if (!sectionNames.includes(section)) {
      const sentence = `there is no section [${section}]`
      const known = [...sectionNames, 'sinks']
      refuse(file, { line: lineOf(file.text, section, null), key: section, sentence, known })
    }
    return readSection(file, section, keys)
  })
}

/** Sinks have a section each, named after them. */
function readSinks(file: TomlFile, sections: unknown): readonly FileSetting[] {
  return Object.entries(asSection(file, 'sinks', sections)).flatMap(([name, keys]) => {
    const section = `sinks.${name}`
    if (!new RegExp(sinkNamePattern).test(name)) {
      const sentence = `${section} is no name of a sink: use a-z, 0-9 and -`
      refuse(file, { line: lineOf(file.text, section, null), key: section, sentence })
    }
    return readSection(file, section, keys)
  })
}

/** A section within a section is one that is known by both names, as `artifacts.retention` is. */
function readSection(file: TomlFile, section: string, keys: unknown): readonly FileSetting[] {
  return Object.entries(asSection(file, section, keys)).flatMap(([key, value]) => {
    const inner = `${section}.${key}`
    return sectionNames.includes(inner)
      ? readSection(file, inner, value)
      : readSetting(file, { section, key, value, known: settingOf(inner) })
  })
}

function readSetting(
  file: TomlFile,
  o: {
    readonly section: string
    readonly key: string
    readonly value: unknown
    readonly known: Setting | undefined
  },
): FileSetting {
  const name = `${o.section}.${o.key}`
  const line = lineOf(file.text, o.section, o.key)
  if (o.known === undefined) {
    const known = [...settingsByName.keys(), ...Object.keys(sinkSettings).map((one) => `${o.section}.${one}`)]
    refuse(file, { line, key: name, sentence: `there is no setting ${name}`, known })
  }
  const reading = readTypedValue(o.known.form, o.value)
  if (!reading.ok) refuse(file, { line, key: name, sentence: `${name} ${reading.fault}` })
  return { name, value: reading.value, line }
}
