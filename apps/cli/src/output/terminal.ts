/**
 * Where a command prints: data on stdout, messages for a person on stderr.
 *
 * 1. With --json, stdout holds one JSON document, or one per line where the output is a stream, and nothing else.
 * 2. Colour is decided for each stream by itself: a stream that is no terminal gets none unless it is forced.
 */
import { styleText } from 'node:util'
import type { ColourWish } from '../environment.ts'
import { truncate } from './width.ts'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/** What is needed of process.stdout and process.stderr. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

export interface TerminalOptions {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly json: boolean
  readonly colour: ColourWish
}

/** Printed by a command: `value` for programs, `render` for people. */
export interface Printing<Value> {
  readonly value: Value
  readonly render: (value: Value) => readonly string[]
}

export class Terminal {
  readonly json: boolean
  /** Columns of stdout, or null when it is not a terminal. */
  readonly width: number | null
  readonly #options: TerminalOptions

  constructor(options: TerminalOptions) {
    this.#options = options
    this.json = options.json
    this.width = options.stdout.isTTY === true ? (options.stdout.columns ?? null) : null
  }

  /** Prints one result: its JSON document, or the lines made of it. */
  print<Value>({ value, render }: Printing<Value>): void {
    if (this.json) this.line(JSON.stringify(value, null, this.width === null ? undefined : 2))
    else for (const line of render(value)) this.line(line)
  }

  /** Prints one item of a stream: its JSON on one line, or the lines made of it. */
  printItem<Value>({ value, render }: Printing<Value>): void {
    if (this.json) this.line(JSON.stringify(value))
    else for (const line of render(value)) this.line(line)
  }

  /** One line of data. */
  line(text: string): void {
    this.#options.stdout.write(`${text}\n`)
  }

  /** One line for the person who looks on. */
  note(text: string): void {
    this.#options.stderr.write(`${text}\n`)
  }

  /** A line on stderr that the next one takes the place of; null takes it away. Shown to a person at a terminal alone. */
  status(text: string | null): void {
    if (this.json || this.#options.stderr.isTTY !== true) return
    const columns = this.#options.stderr.columns ?? 80
    this.#options.stderr.write(`\r\u001b[2K${text === null ? '' : truncate(text, columns - 1)}`)
  }

  /** Styles text for stdout. */
  paint(style: Style, text: string): string {
    return wantsColour(this.#options.colour, this.#options.stdout) ? applyStyle(style, text) : text
  }

  /** Styles text for stderr. */
  paintNote(style: Style, text: string): string {
    return wantsColour(this.#options.colour, this.#options.stderr) ? applyStyle(style, text) : text
  }
}

export function wantsColour(wish: ColourWish, stream: OutputStream): boolean {
  return wish === 'always' || (wish === 'auto' && stream.isTTY === true)
}

function applyStyle(style: Style, text: string): string {
  // The decision is made above; newer versions of Node would make it again by looking at process.stdout.
  return styleText(style, text, { validateStream: false })
}
