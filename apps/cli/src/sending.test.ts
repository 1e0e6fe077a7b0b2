import type { SendResponse, SendState } from '@claudemesh/protocol'
import { describe, expect, test } from 'vitest'
import { metaValue, notesOn, outcomeOf } from './sending.ts'

const values: readonly { text: string; value: unknown }[] = [
  { text: 'plain', value: 'plain' },
  { text: '', value: '' },
  { text: '17', value: 17 },
  { text: '-1.5', value: -1.5 },
  { text: '1.2.3', value: '1.2.3' },
  { text: '2026-11-21', value: '2026-11-21' },
  { text: 'true', value: true },
  { text: 'truely', value: 'truely' },
  { text: 'null', value: null },
  { text: '"17"', value: '17' },
  { text: '[1,2]', value: [1, 2] },
  { text: '{"a":{"b":1}}', value: { a: { b: 1 } } },
  { text: '{not json', value: '{not json' },
]

describe('a value of --meta', () => {
  for (const { text, value } of values) {
    test(`${JSON.stringify(text)} is ${JSON.stringify(value)}`, () => {
      expect(metaValue(text)).toEqual(value)
    })
  }
})

const wanted = [null, 'accepted', 'delivered', 'read'] as const
/** State to the outcome for each of `wanted`. */
const outcomes: Readonly<Record<SendState, readonly string[]>> = {
  queued: ['reached', 'not_yet', 'not_yet', 'not_yet'],
  accepted: ['reached', 'reached', 'not_yet', 'not_yet'],
  delivered: ['reached', 'reached', 'reached', 'not_yet'],
  read: ['reached', 'reached', 'reached', 'reached'],
  undeliverable: ['failed', 'failed', 'failed', 'failed'],
  dead: ['failed', 'failed', 'failed', 'failed'],
  aborted: ['failed', 'failed', 'failed', 'failed'],
}

describe('the outcome of a send', () => {
  for (const [state, row] of Object.entries(outcomes) as [SendState, readonly string[]][]) {
    for (const [index, required] of wanted.entries()) {
      test(`${state} where ${required ?? 'nothing'} is required: ${row[index]}`, () => {
        expect(outcomeOf({ state, recipient_count: 1 }, required)).toBe(row[index])
      })
    }
  }
})

test('an accepted message without a recipient is where it will ever be', () => {
  const answer = { state: 'accepted', recipient_count: 0 } as const
  const expected = ['reached', 'reached', 'nobody', 'nobody']
  expect(wanted.map((required) => outcomeOf(answer, required))).toEqual(expected)
})

const answer = { status: 'done', client_message_id: 'key', outbox_id: 'row' } as const
const notes: readonly {
  readonly answer: Pick<SendResponse, 'state' | 'last_error' | 'recipient_count' | 'receipts'>
  readonly until: 'accepted' | 'delivered' | 'read'
  readonly note: RegExp | null
}[] = [
  { answer: { state: 'queued' }, until: 'accepted', note: /^it is kept on this host and goes out by itself; accepted/ },
  {
    answer: { state: 'queued' },
    until: 'delivered',
    note: /^it is kept on this host and goes out by itself; delivered/,
  },
  {
    answer: { state: 'queued', last_error: 'queue_without_consumers: nobody has ever consumed queue:jobs' },
    until: 'accepted',
    note: /^it is kept on this host and waits: queue_without_consumers: .*queue:jobs; accepted was not reached/,
  },
  { answer: { state: 'accepted' }, until: 'delivered', note: /^the broker has it; delivered was not reached in time$/ },
  { answer: { state: 'delivered' }, until: 'read', note: /^it was delivered; read was not reached in time$/ },
  {
    answer: { state: 'accepted', recipient_count: 0 },
    until: 'delivered',
    note: /nobody else subscribes to the topic/,
  },
  { answer: { state: 'delivered' }, until: 'delivered', note: null },
  {
    answer: { state: 'dead', last_error: 'topic_unknown' },
    until: 'accepted',
    note: /^the message was not delivered: topic/,
  },
  {
    answer: {
      state: 'undeliverable',
      recipient_count: 1,
      receipts: [{ recipient: 'ann', state: 'undeliverable', at: 1, reason: 'revoked' }],
    },
    until: 'delivered',
    note: /^the message was not delivered: revoked$/,
  },
  {
    answer: {
      state: 'undeliverable',
      recipient_count: 3,
      receipts: [
        { recipient: 'ann', state: 'undeliverable', at: 1, reason: 'undecryptable' },
        { recipient: 'ann', state: 'read', at: 2 },
        { recipient: 'ben', state: 'undeliverable', at: 1, reason: 'left' },
        { recipient: 'cem', state: 'undeliverable', at: 1, reason: 'left' },
      ],
    },
    until: 'read',
    note: /^the message was not delivered to 2 of 3 recipients: left$/,
  },
]

describe('what is told beyond the state', () => {
  for (const { answer: given, until, note } of notes) {
    test(`${JSON.stringify(given)} where ${until} is required: ${note ?? 'nothing'}`, () => {
      const whole = { ...answer, ...given }
      const [first = null] = notesOn(whole, outcomeOf(whole, until), { waitMs: 1_000, until })
      if (note === null) expect(first).toBeNull()
      else expect(first).toMatch(note)
    })
  }
})
