import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { oneLine } from '../../output/printable.ts'
import type { Terminal } from '../../output/terminal.ts'

type Diagnosis = Awaited<ReturnType<typeof import('@claudemesh/broker').examineBroker>>

/** Rows of one kind that a person is shown; --json has more of them. */
const rowsShown = 10

export const command: CommandDefinition = {
  summary: "Look through a broker's database for what cannot be; the broker may run",
  options: [
    { syntax: '--data <directory>', describe: 'as for broker start' },
    { syntax: '--database-url <url>', describe: 'postgres:// URL of the database of a team, as for broker start' },
  ],
  examples: [
    { line: 'claudemesh broker doctor', describe: 'exit code 0 only if nothing was found; nothing is changed' },
    {
      line: 'claudemesh broker doctor --database-url postgres://mesh@db.example.org/mesh --json',
      describe: 'the same for a team on PostgreSQL, for a program',
    },
  ],

  async run({ args, flags, environment, terminal }) {
    if (args.length > 0) throw invalidUsage('broker doctor takes no arguments')
    const databaseUrl = flags.text('database-url')
    const data = flags.text('data')
    if (databaseUrl !== null && data !== null) throw invalidUsage('--data and --database-url exclude each other')
    const { examineBroker } = await import('@claudemesh/broker')
    const diagnosis = await examineBroker({
      data: data ?? environment.brokerData,
      ...(databaseUrl === null && data === null ? {} : { databaseUrl }),
    })
    terminal.print({ value: diagnosis, render: (value) => render(value, terminal) })
    return diagnosis.findings.length === 0 ? exitCodes.ok : exitCodes.failed
  },
}

function render({ checked, findings, risks }: Diagnosis, terminal: Terminal): readonly string[] {
  const counts = Object.entries(checked).map(([table, rows]) => `  ${table}: ${rows}`)
  return [
    ...(counts.length === 0 ? ['no row could be checked'] : ['rows checked:', ...counts]),
    ...findings.flatMap((finding) => renderFinding(finding, terminal)),
    ...(findings.length === 0 ? ['nothing was found'] : []),
    ...risks.flatMap(({ setting, value, meaning, remedy }) => [
      `warning: ${setting} = ${value}: ${meaning}`,
      `  -> ${remedy}`,
    ]),
  ]
}

function renderFinding(
  { name, count, meaning, remedy, rows }: Diagnosis['findings'][number],
  terminal: Terminal,
): readonly string[] {
  const shown = rows.slice(0, rowsShown).map(
    (row) =>
      `    ${Object.entries(row)
        .map(([column, value]) => `${column}=${oneLine(String(value))}`)
        .join(' ')}`,
  )
  const more = count - shown.length
  return [
    '',
    `${terminal.paint('red', name)} (${count}): ${meaning}`,
    ...shown,
    ...(more === 0 ? [] : [`    and ${more} more`]),
    `  -> ${remedy}`,
  ]
}
