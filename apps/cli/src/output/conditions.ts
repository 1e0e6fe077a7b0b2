import type { Condition } from '@claudemesh/protocol'
import { printable } from './printable.ts'
import type { Terminal } from './terminal.ts'

const severityStyle = { info: 'dim', warning: 'yellow', error: 'red' } as const

/** What is wrong, and under it the command that mends it. */
export function renderCondition({ severity, text, remedy }: Condition, terminal: Terminal): readonly string[] {
  const word = terminal.paint(severityStyle[severity], `${severity}:`)
  return [`${word} ${printable(text)}`, `  -> ${printable(remedy)}`]
}
