import { readDaemonFrame, type SendItem } from '@claudemesh/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { draftOf, sealPlainly, TestRuntime } from '../../../../test/support/outbox.ts'
import type { OutboxRow } from '../outbox/outbox.ts'
import { summaryOfDraft } from '../outbox/rows.ts'
import { cutFrames, itemBytesMax, toSendItem } from './send-item.ts'

const runtime = new TestRuntime()

function itemOf(o: { key: string; bytes: number; mentions: number; replies: boolean }): SendItem {
  const draft = draftOf(runtime, {
    clientMessageId: o.key,
    text: 'x'.repeat(o.bytes),
    mentions: Array.from({ length: o.mentions }, () => 'f'.repeat(64)),
    replyToId: o.replies ? runtime.nextId() : null,
  })
  const contents = {
    payload: draft.payload,
    sealed: null,
    wireFingerprint: null,
    recipientsEpoch: null,
    restoredAt: null,
  }
  const row: OutboxRow = { ...summaryOfDraft(draft, 1), ...contents }
  return toSendItem({ ...row, ...sealPlainly(row) })
}

const item = fc
  .record({
    key: fc.string({ minLength: 1, maxLength: 255, unit: fc.constantFrom('"', '\\', 'k', '~') }),
    bytes: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 60_000 })),
    mentions: fc.integer({ min: 0, max: 64 }),
    replies: fc.boolean(),
  })
  .map(itemOf)

describe('frames of sends', () => {
  it('hold every item once and in order, fit their schema, their number of items and their bytes', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 40 }), fc.constantFrom(20_000, 100_000, 1_048_576), (items, bytesMax) => {
        const frames = cutFrames(items, bytesMax)
        expect(frames.flat()).toEqual(items)
        for (const frame of frames) {
          const text = JSON.stringify({ type: 'send', items: frame })
          expect(frame.length).toBeGreaterThan(0)
          if (frame.length > 1) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(bytesMax)
          if (text.length <= 1_048_576) expect(readDaemonFrame(text)).toMatchObject({ ok: true })
        }
      }),
      { numRuns: 60 },
    )
  })

  it('never have more than 256 items', () => {
    const items = Array.from({ length: 600 }, () => itemOf({ key: 'k', bytes: 1, mentions: 0, replies: false }))
    expect(cutFrames(items, 1_048_576).map((frame) => frame.length)).toEqual([256, 256, 88])
  })

  it('are never larger than the bound of their items says', () => {
    fc.assert(
      fc.property(item, (one) => {
        expect(Buffer.byteLength(JSON.stringify(one))).toBeLessThanOrEqual(itemBytesMax(one))
      }),
    )
  })
})
