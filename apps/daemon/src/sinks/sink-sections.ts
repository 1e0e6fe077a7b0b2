/**
 * The sections `[sinks.<name>]` of the configuration of a mesh, written and taken out again. Everything else in the file stays
 * as people have written it: what would change more than the one section is refused.
 */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { MeshError } from '@claudemesh/protocol'
import { writeFileAtomic } from '@claudemesh/storage'
import { parse } from 'smol-toml'

type Keys = Readonly<Record<string, string>>

export class SinkSections {
  readonly #path: string

  /** @param path of the config.toml of the mesh; made when there is none */
  constructor(path: string) {
    this.#path = path
  }

  /** @throws MeshError `insufficient_storage`, `storage_failed`; the file is as it was then */
  add(name: string, keys: Keys): void {
    const before = this.#read()
    const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    const gap = before === '' ? '' : before.endsWith('\n') ? '\n' : '\n\n'
    this.#write(`${before}${gap}[sinks.${name}]\n${lines.join('')}`)
  }

  /** @throws MeshError `sink_unknown` when the section is not in this file, or not by itself */
  remove(name: string): void {
    const before = this.#read()
    const after = without(before, name)
    const { sinks = {}, ...rest } = parse(before) as { readonly sinks?: Record<string, unknown> }
    const { [name]: removed, ...others } = sinks
    const left = parse(after) as { readonly sinks?: Record<string, unknown> }
    const isClean = isDeepStrictEqual({ sinks: {}, ...left }, { ...rest, sinks: others })
    if (removed === undefined || !isClean) {
      throw new MeshError('sink_unknown', {
        detail: `[sinks.${name}] is no section of its own in ${this.#path}`,
        hint: 'Take it out by hand where it is written, and restart the daemon; `claudemesh daemon config show` says where.',
      })
    }
    this.#write(after)
  }

  #read(): string {
    try {
      return readFileSync(this.#path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
      throw error
    }
  }

  #write(text: string): void {
    writeFileAtomic(this.#path, text, { mode: 0o600 })
  }
}

/** A text without the lines of a section: from its header to the next one. */
function without(text: string, name: string): string {
  let isInside = false
  const kept = text.split('\n').filter((line) => {
    const header = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1]
    if (header !== undefined) isInside = header === `sinks.${name}`
    return !isInside
  })
  return `${kept.join('\n').trimEnd()}\n`
}
