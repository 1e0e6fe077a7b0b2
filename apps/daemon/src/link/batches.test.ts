import { limits } from '@claudemesh/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { writeBatches } from './batches.ts'

const read = (frames: readonly string[]) =>
  frames.map((frame) => JSON.parse(frame) as { type: string; items: object[] })

test('nothing is no frame', () => {
  expect([...writeBatches('send', [], 1000)]).toEqual([])
})

test('frames hold all items, in order, within both bounds', () => {
  const items = fc.array(fc.record({ text: fc.string({ unit: 'binary', maxLength: 80 }) }), { maxLength: 600 })
  fc.assert(
    fc.property(items, fc.integer({ min: 700, max: 20_000 }), (sent, bytesMax) => {
      const frames = [...writeBatches('deliver_ack', sent, bytesMax)]
      const received = read(frames)
      expect(received.flatMap((frame) => frame.items)).toEqual(JSON.parse(JSON.stringify(sent)))
      for (const [index, frame] of frames.entries()) {
        expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(bytesMax)
        expect(received[index]?.type).toBe('deliver_ack')
        expect(received[index]?.items.length).toBeLessThanOrEqual(limits.itemsPerFrameMax)
      }
    }),
    { numRuns: 50 },
  )
})

test('an item larger than a frame is not lost and does not drag others along', () => {
  const items = [{ a: 'x' }, { a: 'y'.repeat(5000) }, { a: 'z' }]
  const received = read([...writeBatches('send', items, 1024)])
  expect(received.map((frame) => frame.items.length)).toEqual([1, 1, 1])
})
