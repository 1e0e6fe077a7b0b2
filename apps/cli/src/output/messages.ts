/** How messages look in a list and by themselves. */
import type { Message } from '@claudemesh/protocol'
import { renderFields } from './fields.ts'
import { oneLine, printable } from './printable.ts'
import { formatTime } from './quantity.ts'
import { renderTable } from './table.ts'
import type { Terminal } from './terminal.ts'

/** One line per message: an unread one is marked with `*`. */
export function renderMessageTable(terminal: Terminal, messages: readonly Message[]): readonly string[] {
  return renderTable(
    [
      { title: ' ', cell: (row) => (row.direction === 'received' && row.read_at === null ? '*' : '') },
      { title: 'TIME', cell: (row) => formatTime(row.accepted_at) },
      { title: 'FROM', cell: senderText },
      { title: 'TO', cell: destinationText },
      { title: 'MESSAGE', cell: bodyLine, flexible: true },
      { title: 'ID', cell: (row) => row.id },
    ],
    messages,
    { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
  )
}

/** The whole message: what is known of it, then its text. */
export function renderMessage(message: Message): readonly string[] {
  return [
    ...renderFields({
      id: message.id,
      from: `${senderText(message)} (${message.sender})`,
      to: destinationText(message),
      at: formatTime(message.accepted_at),
      'reply to': message.reply_to_id,
      priority: message.priority === 'next' ? null : message.priority,
      type: message.content_type,
      meta: message.meta === null ? null : JSON.stringify(message.meta),
    }),
    '',
    ...(message.message === null ? [missingText(message)] : printable(message.message).split('\n')),
  ]
}

function senderText(message: Message): string {
  return message.direction === 'sent' ? 'you' : oneLine(message.sender_name ?? `${message.sender.slice(0, 16)}…`)
}

function destinationText(message: Message): string {
  if (message.destination_kind === 'topic') return `#${oneLine(message.destination_ref)}`
  if (message.destination_kind === 'queue') return `queue:${oneLine(message.destination_ref)}`
  return message.direction === 'received' ? 'you' : `${message.destination_ref.slice(0, 16)}…`
}

function bodyLine(message: Message): string {
  return message.message === null ? missingText(message) : oneLine(message.message)
}

function missingText(message: Message): string {
  return message.opened ? '(the text is no longer kept)' : '(could not be opened)'
}
