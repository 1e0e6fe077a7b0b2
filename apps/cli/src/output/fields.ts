import { printable } from './printable.ts'
import { displayWidth, padEnd } from './width.ts'

/** `name  value` lines, the values under each other; a field whose value is null is left out. */
export function renderFields(fields: Readonly<Record<string, string | null>>): readonly string[] {
  const width = Math.max(0, ...Object.keys(fields).map(displayWidth))
  return Object.entries(fields).flatMap(([name, value]) =>
    value === null ? [] : [`${padEnd(name, width)}  ${printable(value)}`],
  )
}
