/** How rows of the outbox look in a list and by themselves. */
import type { OutboxDetail, OutboxRowView } from '@claudemesh/protocol'
import { renderFields } from './fields.ts'
import { oneLine } from './printable.ts'
import { formatBytes, formatTime } from './quantity.ts'
import { renderTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export function renderRowTable(terminal: Terminal, rows: readonly OutboxRowView[]): readonly string[] {
  return renderTable(
    [
      { title: 'ID', cell: (row) => row.id },
      { title: 'STATE', cell: (row) => row.state },
      { title: 'TO', cell: (row) => shortDestination(row) },
      { title: 'ENQUEUED', cell: (row) => formatTime(row.enqueued_at) },
      { title: 'TRIES', cell: (row) => String(row.attempts) },
      { title: 'KEY', cell: (row) => oneLine(row.client_message_id), flexible: true },
      { title: 'LAST ERROR', cell: (row) => oneLine(row.last_error ?? ''), flexible: true },
    ],
    rows,
    { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
  )
}

/**
 * One row with every state that is proven of it, and what became of it.
 *
 * @param names of recipients by their member ids; one that is not there is shown by its id
 */
export function renderOutboxDetail(
  terminal: Terminal,
  { row, receipts, chain }: OutboxDetail,
  names: ReadonlyMap<string, string>,
): readonly string[] {
  const receiptRows = renderTable(
    [
      { title: 'RECIPIENT', cell: ({ recipient }) => oneLine(names.get(recipient) ?? recipient), flexible: true },
      { title: 'STATE', cell: (receipt) => receipt.state },
      { title: 'AT', cell: (receipt) => formatTime(receipt.at) },
      { title: 'REASON', cell: (receipt) => oneLine(receipt.reason ?? ''), flexible: true },
    ],
    receipts,
    { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
  )
  return [
    ...renderFields({
      id: row.id,
      key: row.client_message_id,
      status: row.status,
      state: row.state,
      to: fullDestination(row),
      priority: row.priority,
      'reply to': row.reply_to_id,
      enqueued: formatTime(row.enqueued_at),
      attempts: String(row.attempts),
      'next attempt': row.status === 'pending' ? formatTime(row.next_attempt_at) : null,
      accepted: row.delivered_at === null ? null : formatTime(row.delivered_at),
      'message id': row.broker_message_id,
      recipients: row.recipient_count === null ? null : String(row.recipient_count),
      receipts: row.receipts ? tally(receipts) : 'none asked for',
      size: row.message_bytes === null ? null : formatBytes(row.message_bytes),
      'last error': row.last_error,
      aborted: row.aborted_at === null ? null : `${formatTime(row.aborted_at)} by ${row.aborted_by ?? '?'}`,
      'superseded by': row.superseded_by,
      'key released': row.released_at === null ? null : formatTime(row.released_at),
    }),
    ...(receiptRows.length === 0 ? [] : ['', ...receiptRows]),
    ...(chain.length < 2 ? [] : ['', 'the chain of successors, the oldest first:', ...renderRowTable(terminal, chain)]),
    ...(row.status === 'dead' ? [`  -> claudemesh daemon outbox requeue --id ${row.id}`] : []),
  ]
}

/** How many recipients it is so of; null as long as nothing is proven. */
function tally(receipts: OutboxDetail['receipts']): string | null {
  const states = ['delivered', 'read', 'undeliverable'] as const
  const counts = states.map((state) => [receipts.filter((receipt) => receipt.state === state).length, state] as const)
  const parts = counts.filter(([count]) => count > 0).map(([count, state]) => `${count} ${state}`)
  return parts.length === 0 ? null : parts.join(', ')
}

function fullDestination(row: OutboxRowView): string {
  return destinationPrefixes[row.destination_kind] + row.destination_ref
}

function shortDestination(row: OutboxRowView): string {
  return row.destination_kind === 'dm' ? `${row.destination_ref.slice(0, 12)}…` : oneLine(fullDestination(row))
}

/** What stands before the name in `send --to`. */
const destinationPrefixes: Readonly<Record<OutboxRowView['destination_kind'], string>> = {
  dm: '',
  topic: '#',
  queue: 'queue:',
}
