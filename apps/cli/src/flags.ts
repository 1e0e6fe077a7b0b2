/**
 * The values of a command's options, read by name and checked. A name that the command did not declare, or a declared
 * one that nobody reads, is a mistake of ours: reading asserts the first, a test walks the second.
 */
import assert from 'node:assert/strict'
import { parseDuration, parseTime } from './output/quantity.ts'
import { MeshError } from './protocol.ts'

export class Flags {
  readonly #values: ReadonlyMap<string, unknown>

  /** @param values option by its long name, such as `reply-to`; undefined when it was not given */
  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values
  }

  isSet(name: string): boolean {
    return this.#value(name) === true
  }

  text(name: string): string | null {
    const value = this.#value(name)
    return typeof value === 'string' ? value : null
  }

  /** Every value of an option that may be repeated. */
  texts(name: string): readonly string[] {
    const value = this.#value(name)
    return Array.isArray(value) ? value.map(String) : []
  }

  /** @throws MeshError invalid_usage when it is no whole number within the bounds */
  integer(name: string, bounds: { readonly min: number; readonly max: number }): number | null {
    const text = this.text(name)
    if (text === null) return null
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= bounds.min && value <= bounds.max) return value
    throw invalidUsage(`--${name} takes a whole number from ${bounds.min} to ${bounds.max}, not "${text}"`)
  }

  /** @throws MeshError invalid_usage when it is none of the choices */
  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | null {
    const text = this.text(name)
    if (text === null) return null
    const choice = choices.find((candidate) => candidate === text)
    if (choice !== undefined) return choice
    throw invalidUsage(`--${name} takes ${choices.join(', ')}, not "${text}"`)
  }

  /**
   * @returns milliseconds
   * @throws MeshError invalid_usage
   */
  duration(name: string): number | null {
    const text = this.text(name)
    if (text === null) return null
    const ms = parseDuration(text)
    if (ms !== null) return ms
    throw invalidUsage(`--${name} takes a duration such as 90s, 15m, 2h or 7d, not "${text}"`)
  }

  /**
   * @returns milliseconds since the epoch
   * @throws MeshError invalid_usage
   */
  time(name: string, now: number): number | null {
    const text = this.text(name)
    if (text === null) return null
    const at = parseTime(text, now)
    if (at !== null) return at
    throw invalidUsage(`--${name} takes how long ago (2h, 7d) or a date (2026-11-21T08:00), not "${text}"`)
  }

  /** `key=value` pairs of an option that may be repeated. */
  pairs(name: string): readonly (readonly [key: string, value: string])[] {
    return this.texts(name).map((text) => {
      const equals = text.indexOf('=')
      if (equals < 1) throw invalidUsage(`--${name} takes key=value, not "${text}"`)
      return [text.slice(0, equals), text.slice(equals + 1)]
    })
  }

  #value(name: string): unknown {
    assert(this.#values.has(name), `the option --${name} is declared`)
    return this.#values.get(name)
  }
}

/** A fault of the command line, told in a sentence. */
export function invalidUsage(detail: string, hint?: string): MeshError {
  return new MeshError('invalid_usage', hint === undefined ? { detail } : { detail, hint })
}
