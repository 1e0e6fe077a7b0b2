import type { HistoryRow } from '@claudemesh/protocol'
import type { HistoryPage, HistoryQueryParameters } from '@claudemesh/protocol/history'
import type { CommandDefinition, Invocation } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { type ExitCode, exitCodes } from '../../exit-codes.ts'
import type { Flags } from '../../flags.ts'
import { oneLine } from '../../output/printable.ts'
import { formatTime } from '../../output/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { Terminal } from '../../output/terminal.ts'

const limitMax = 500
const limitDefault = 20
const directions = ['sent', 'received', 'receipt', 'event'] as const

export const command: CommandDefinition = {
  summary: 'Look into the record of everything sent and received, the newest last',
  options: [
    { syntax: '--direction <kind>', describe: `only one kind of row: ${directions.join(', ')}` },
    { syntax: '--from <member>', describe: 'only what one member sent, by name or id' },
    { syntax: '--to <destination>', describe: 'only what went to @name, #topic or queue:name' },
    { syntax: '--state <state>', describe: 'only rows of one state, such as delivered or dead' },
    { syntax: '--id <client-message-id>', describe: 'one send, and what became of it' },
    { syntax: '--since <time>', describe: 'only what happened since then: 2h, 7d, 2026-11-21' },
    { syntax: '--until <time>', describe: 'only what happened before then' },
    { syntax: '--limit <n>', describe: `how many at most, 1 to ${limitMax}; default ${limitDefault}` },
    { syntax: '--after <place>', describe: 'the next page: what comes before that place' },
    {
      syntax: '--from-sink <name>',
      describe: 'what a sink has exported as objects, the oldest first; with --limit, --after',
    },
  ],
  examples: [
    { line: 'claudemesh history query --since 1d', describe: 'what happened in the last day' },
    { line: 'claudemesh history query --id build-42', describe: 'one send, when it was accepted and who has it' },
    { line: 'claudemesh history query --from-sink nightly', describe: 'what was exported, from its start' },
    { line: 'claudemesh history query --direction event --json', describe: 'what happened to the daemon, as JSON' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const sink = flags.text('from-sink')
    if (sink !== null) return await queryArchive(invocation, sink)
    const query = readQuery(flags)
    const page = await withDaemon(invocation, async ({ history }) => {
      const rows: HistoryRow[] = []
      let next: string | null = query.after ?? null
      // A page that looked at many rows and found few is not the last.
      do {
        const found: HistoryPage = await history.query({ ...query, ...(next === null ? {} : { after: next }) })
        rows.push(...found.rows)
        next = found.next
      } while (rows.length === 0 && next !== null)
      return { rows, next }
    })
    terminal.print({
      value: page,
      render: ({ rows, next }) => [
        ...(rows.length === 0 ? ['nothing is recorded that is asked for'] : renderRows(terminal, rows.toReversed())),
        ...(next === null ? [] : [`there may be older ones: --after=${next}`]),
      ],
    })
    return exitCodes.ok
  },
}

/** What a sink has exported, also what the history does not have any more. */
async function queryArchive(invocation: Invocation, sink: string): Promise<ExitCode> {
  const { flags, terminal } = invocation
  const dataset = flags.choice('direction', directions) === 'event' ? 'events' : 'messages'
  const after = flags.text('after')
  const page = await withDaemon(invocation, async (client) => {
    const { mesh } = await client.health()
    return await client.sinks.rows(sink, {
      partition: `${dataset}/mesh=${mesh}`,
      limit: flags.integer('limit', { min: 1, max: limitMax }) ?? limitDefault,
      ...(after === null ? {} : { after }),
    })
  })
  terminal.print({
    value: page,
    render: ({ rows, next }) => [
      ...(rows.length === 0 ? ['nothing is exported that is asked for'] : renderRows(terminal, rows)),
      ...(next === null ? [] : [`there may be later ones: --after=${next}`]),
    ],
  })
  return exitCodes.ok
}

function readQuery(flags: Flags): HistoryQueryParameters {
  const now = Date.now()
  const direction = flags.choice('direction', directions)
  const texts = {
    from: flags.text('from'),
    to: flags.text('to'),
    state: flags.text('state'),
    client_message_id: flags.text('id'),
    after: flags.text('after'),
    since: flags.time('since', now),
    until: flags.time('until', now),
  }
  const given = Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== null))
  return {
    ...given,
    ...(direction === null ? {} : { direction, dataset: direction === 'event' ? 'events' : 'messages' }),
    order: 'newest',
    limit: flags.integer('limit', { min: 1, max: limitMax }) ?? limitDefault,
  }
}

function renderRows(terminal: Terminal, rows: readonly HistoryRow[]): readonly string[] {
  return renderTable(
    [
      { title: 'SEQ', cell: (row) => (row.seq === null ? '-' : String(row.seq)) },
      { title: 'TIME', cell: (row) => formatTime(row.at) },
      { title: 'KIND', cell: (row) => row.direction },
      { title: 'STATE', cell: (row) => oneLine(row.state) },
      { title: 'FROM', cell: (row) => shorten(row.sender) },
      { title: 'TO', cell: (row) => shorten(row.destination) },
      { title: 'CONTENT', cell: (row) => oneLine(row.body ?? JSON.stringify(row.meta ?? {})), flexible: true },
      { title: 'ID', cell: (row) => oneLine(row.client_message_id ?? '') },
    ],
    rows,
    { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
  )
}

/** A member id is told from others by its first digits. */
function shorten(text: string | null): string {
  return text === null ? '' : oneLine(/^[0-9a-f]{64}$/.test(text) ? `${text.slice(0, 8)}…` : text)
}
