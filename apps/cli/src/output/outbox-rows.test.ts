import type { OutboxDetail, Receipt } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { renderOutboxDetail, renderRowTable } from './outbox-rows.ts'
import { Terminal } from './terminal.ts'

const ada = 'a'.repeat(64)
const ben = 'b'.repeat(64)
const stream = { isTTY: false, columns: 0, write: () => true }
const terminal = new Terminal({ stdout: stream, stderr: stream, json: false, colour: 'never' })

function rowWith(changes: Partial<OutboxDetail['row']>): OutboxDetail['row'] {
  return {
    id: '01JD8Z6K3V0000000000000000',
    client_message_id: 'key',
    status: 'done',
    state: 'accepted',
    destination_kind: 'topic',
    destination_ref: 'news',
    priority: 'next',
    enqueued_at: 1,
    attempts: 1,
    next_attempt_at: 1,
    last_error: null,
    delivered_at: 2,
    broker_message_id: '01JD8Z6K3V0000000000000001',
    history_id: '1',
    recipient_count: 2,
    receipts: true,
    reply_to_id: null,
    aborted_at: null,
    aborted_by: null,
    superseded_by: null,
    released_at: null,
    message_bytes: 4,
    ...changes,
  }
}

function show(receipts: readonly Receipt[], row: Partial<OutboxDetail['row']> = {}): readonly string[] {
  const detail: OutboxDetail = { row: rowWith(row), receipts: [...receipts], chain: [] }
  return renderOutboxDetail(terminal, detail, new Map([[ada, 'ada']]))
}

function lineOf(lines: readonly string[], name: string): string | undefined {
  return lines.find((line) => line.startsWith(`${name} `))?.replaceAll(/ +/g, ' ')
}

describe('a row of the outbox by itself', () => {
  test('says how many have got it and read it, and when each of them did', () => {
    const lines = show([
      { recipient: ada, state: 'delivered', at: 3 },
      { recipient: ada, state: 'read', at: 4 },
      { recipient: ben, state: 'undeliverable', at: 5, reason: 'revoked' },
    ])
    expect(lineOf(lines, 'receipts')).toBe('receipts 1 delivered, 1 read, 1 undeliverable')
    expect(lines.filter((line) => line.startsWith('ada '))).toHaveLength(2)
    // Whom this host does not know any more is shown by the id.
    expect(lineOf(lines, ben)).toMatch(/undeliverable .* revoked$/)
  })

  test('tells receipts that were not asked for from those that have not come', () => {
    expect(lineOf(show([]), 'receipts')).toBeUndefined()
    expect(lineOf(show([], { receipts: false }), 'receipts')).toBe('receipts none asked for')
  })
})

const destinations: readonly {
  kind: OutboxDetail['row']['destination_kind']
  ref: string
  short: string
  full: string
}[] = [
  { kind: 'topic', ref: 'builds', short: '#builds', full: '#builds' },
  { kind: 'queue', ref: 'builds', short: 'queue:builds', full: 'queue:builds' },
  { kind: 'dm', ref: ben, short: 'bbbbbbbbbbbb…', full: ben },
]

describe('the destination of a row', () => {
  for (const { kind, ref, short, full } of destinations) {
    test(`of kind ${kind} is shown as one sends to it`, () => {
      const row = rowWith({ destination_kind: kind, destination_ref: ref })
      expect(lineOf(show([], row), 'to')).toBe(`to ${full}`)
      expect(renderRowTable(terminal, [row])[1]?.split(/ +/)[2]).toBe(short)
    })
  }
})
