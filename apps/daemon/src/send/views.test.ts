import type { SendState } from '@claudemesh/protocol'
import { describe, expect, it } from 'vitest'
import { draftOf, TestRuntime } from '../../../../test/support/outbox.ts'
import type { OutboxSummary, StoredReceipt } from '../outbox/outbox.ts'
import { summaryOfDraft } from '../outbox/rows.ts'
import { hasReached } from './state-waits.ts'
import { sendState, toRowView } from './views.ts'

const runtime = new TestRuntime()
const row = (fields: Partial<OutboxSummary>): OutboxSummary => ({
  ...summaryOfDraft(draftOf(runtime), runtime.now()),
  ...fields,
})
const done = (recipientCount: number) => row({ status: 'done', recipientCount })
const receipts = (...facts: string[]): StoredReceipt[] =>
  facts.map((fact) => {
    const [recipient = '', state = ''] = fact.split(' ')
    return { recipient, state: state as StoredReceipt['state'], at: 1, reason: null }
  })

/** row, receipts, state; then whether a wait for accepted, delivered, read is over */
const cases: readonly (readonly [string, OutboxSummary, StoredReceipt[], SendState, string])[] = [
  ['pending', row({}), [], 'queued', '- - -'],
  ['inflight', row({ status: 'inflight' }), [], 'queued', '- - -'],
  ['inflight, and already delivered', row({ status: 'inflight' }), receipts('a delivered'), 'queued', '- - -'],
  ['dead', row({ status: 'dead', lastError: 'x' }), [], 'dead', 'a d r'],
  ['aborted', row({ status: 'aborted' }), [], 'aborted', 'a d r'],
  ['accepted for one', done(1), [], 'accepted', 'a - -'],
  ['delivered to one', done(1), receipts('a delivered'), 'delivered', 'a d -'],
  ['read by one', done(1), receipts('a delivered', 'a read'), 'read', 'a d r'],
  ['read by one whose delivery is not told yet', done(1), receipts('a read'), 'read', 'a d r'],
  ['undeliverable to one', done(1), receipts('a undeliverable'), 'undeliverable', 'a d r'],
  ['delivered to one of two', done(2), receipts('a delivered'), 'accepted', 'a - -'],
  ['told twice of one of two', done(2), receipts('a delivered', 'a read'), 'accepted', 'a - -'],
  ['delivered to two, read by one', done(2), receipts('a read', 'b delivered'), 'delivered', 'a d -'],
  ['undeliverable to one of two', done(2), receipts('a undeliverable'), 'accepted', 'a - -'],
  [
    'undeliverable to one, delivered to one',
    done(2),
    receipts('a undeliverable', 'b delivered'),
    'undeliverable',
    'a d -',
  ],
  ['undeliverable to one, read by one', done(2), receipts('a undeliverable', 'b read'), 'undeliverable', 'a d r'],
  ['nobody to get it', done(0), [], 'accepted', 'a d r'],
  ['no receipts asked for', { ...done(1), receipts: false }, [], 'accepted', 'a d r'],
]

describe('the state of a send that is', () => {
  for (const [name, summary, list, state, reached] of cases) {
    it(`${name}: ${state}`, () => {
      expect(sendState(summary, list)).toBe(state)
      const over = (['accepted', 'delivered', 'read'] as const).map((until) =>
        hasReached(summary, list, until) ? until.charAt(0) : '-',
      )
      expect(over.join(' ')).toBe(reached)
    })
  }
})

describe('the view of a row', () => {
  it('has the names of the wire and no contents', () => {
    const view = toRowView(done(1), receipts('a delivered'))
    expect(view).toMatchObject({ status: 'done', state: 'delivered', recipient_count: 1, message_bytes: 5 })
    expect(Object.keys(view).every((key) => /^[a-z_]+$/.test(key))).toBe(true)
    expect(view).not.toHaveProperty('payload')
  })
})
