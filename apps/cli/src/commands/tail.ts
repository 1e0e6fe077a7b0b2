import { type EventType, eventTypes, type MeshEvent } from '@claudemesh/protocol'
import type { CommandDefinition } from '../command.ts'
import { withDaemon } from '../connection.ts'
import { exitCodes } from '../exit-codes.ts'
import { type Flags, invalidUsage } from '../flags.ts'
import { oneLine } from '../output/printable.ts'
import { formatTime } from '../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Follow what happens: messages, receipts, peers; goes on across restarts of the daemon',
  options: [
    { syntax: '--types <types>', describe: `comma-separated, of ${eventTypes.join(', ')}; default all` },
    { syntax: '--since <id>', describe: 'begin after the event of that id instead of now' },
  ],
  examples: [
    { line: 'claudemesh tail', describe: 'everything from now on, until interrupted' },
    { line: 'claudemesh tail --types message --json', describe: 'one JSON object per line for each message' },
  ],

  async run(invocation) {
    const { flags, terminal } = invocation
    const types = readTypes(flags)
    const since = readSince(flags)
    let interrupted = false
    await withDaemon(invocation, async (client) => {
      const events = client.events({
        ...(types === null ? {} : { types }),
        ...(since === null ? {} : { since }),
        onInterrupted: (error) => {
          interrupted = true
          terminal.note(`waiting for the daemon: ${error.message}`)
        },
        onConnected: () => {
          if (interrupted) terminal.note('the daemon is back; going on where it stopped')
          interrupted = false
        },
      })
      for await (const event of events) terminal.printItem({ value: event, render: () => [eventLine(event)] })
    })
    return exitCodes.ok
  },
}

function readTypes(flags: Flags): readonly EventType[] | null {
  const text = flags.text('types')
  if (text === null) return null
  return text.split(',').map((name) => {
    const type = eventTypes.find((candidate) => candidate === name.trim())
    if (type === undefined) throw invalidUsage(`--types has ${name.trim()}; there are ${eventTypes.join(', ')}`)
    return type
  })
}

function readSince(flags: Flags): string | null {
  const text = flags.text('since')
  if (text !== null && !/^[0-9]{1,15}$/.test(text))
    throw invalidUsage(`--since takes the id of an event, not "${text}"`)
  return text
}

/** Members that a line leaves out: they name rows for programs, or are said already. */
const leftOut = new Set(['at', 'message', 'sender', 'sender_name', 'destination_kind', 'destination_ref', 'mesh'])

function eventLine({ id, type, data }: MeshEvent): string {
  const at = typeof data['at'] === 'number' ? data['at'] : data['accepted_at']
  const head = [id.padStart(6), typeof at === 'number' ? formatTime(at) : null, type].filter((part) => part !== null)
  const facts = Object.entries(data).flatMap(([name, value]) =>
    leftOut.has(name) || value === null || typeof value === 'object' || name.endsWith('_at')
      ? []
      : [`${name}=${String(value)}`],
  )
  const line = type === 'message' ? messageFacts(data) : facts.join(' ')
  return `${head.join('  ')}  ${oneLine(line)}`
}

function messageFacts(data: MeshEvent['data']): string {
  const text = (name: string) => (typeof data[name] === 'string' ? data[name] : null)
  const from = text('sender_name') ?? text('sender') ?? '?'
  const to = data['destination_kind'] === 'topic' ? ` #${text('destination_ref') ?? '?'}` : ''
  return `${text('id') ?? ''} ${from}${to}: ${text('message') ?? '(could not be opened)'}`
}
