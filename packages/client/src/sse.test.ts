import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventStreamParser, type StreamEvent } from './sse.ts'

const streams: readonly { name: string; text: string; events: readonly StreamEvent[]; lastEventId: string }[] = [
  {
    name: 'an event with id, type and data',
    text: 'id: 7\nevent: message\ndata: {"a":1}\n\n',
    events: [{ id: '7', type: 'message', data: '{"a":1}' }],
    lastEventId: '7',
  },
  {
    name: 'data of several lines',
    text: 'data: one\ndata:two\ndata:  three\n\n',
    events: [{ id: '', type: 'message', data: 'one\ntwo\n three' }],
    lastEventId: '',
  },
  { name: 'comments alone', text: ': keep-alive\n\n:\n\n', events: [], lastEventId: '' },
  { name: 'an id without data', text: 'retry: 1500\nid: 41\n\n', events: [], lastEventId: '41' },
  { name: 'a block that never ended', text: 'id: 8\ndata: lost', events: [], lastEventId: '' },
  {
    name: 'all three line endings',
    text: 'id: 1\r\ndata: a\r\n\r\nid: 2\rdata: b\r\rid: 3\ndata: c\n\n',
    events: [
      { id: '1', type: 'message', data: 'a' },
      { id: '2', type: 'message', data: 'b' },
      { id: '3', type: 'message', data: 'c' },
    ],
    lastEventId: '3',
  },
  {
    name: 'a byte order mark and unknown fields',
    text: '\ufeffdata: a\nnonsense: b\nalone\n\n',
    events: [{ id: '', type: 'message', data: 'a' }],
    lastEventId: '',
  },
  {
    name: 'an id with U+0000, which is ignored',
    text: 'id: 4\n\nid: 5\u0000\ndata: a\n\n',
    events: [{ id: '4', type: 'message', data: 'a' }],
    lastEventId: '4',
  },
  {
    name: 'an id that stays until another one comes',
    text: 'id: 9\ndata: a\n\ndata: b\n\n',
    events: [
      { id: '9', type: 'message', data: 'a' },
      { id: '9', type: 'message', data: 'b' },
    ],
    lastEventId: '9',
  },
]

function parse(pieces: readonly string[]): { events: StreamEvent[]; lastEventId: string } {
  const parser = new EventStreamParser('')
  const events = pieces.flatMap((piece) => parser.push(piece))
  return { events, lastEventId: parser.lastEventId }
}

describe('the event stream parser', () => {
  for (const { name, text, events, lastEventId } of streams) {
    test(`reads ${name}`, () => {
      expect(parse([text])).toEqual({ events, lastEventId })
    })
  }

  test('gives the same events however the stream was cut', () => {
    const everything = streams.map(({ text }) => text).join('\n\n')
    const cuts = fc.array(fc.nat(everything.length), { maxLength: 40 })
    fc.assert(
      fc.property(cuts, (positions) => {
        const sorted = [0, ...positions.sort((one, other) => one - other), everything.length]
        const pieces = sorted.slice(1).map((end, index) => everything.slice(sorted[index], end))
        expect(parse(pieces)).toEqual(parse([everything]))
      }),
    )
  })

  test('begins at the position that its reader had', () => {
    const parser = new EventStreamParser('12')
    expect(parser.lastEventId).toBe('12')
    expect(parser.push('data: a\n\n')).toEqual([{ id: '12', type: 'message', data: 'a' }])
  })

  test('keeps the time to wait before a reconnect', () => {
    const parser = new EventStreamParser('')
    parser.push('retry: 1500\n\nretry: soon\n\n')
    expect(parser.retryMs).toBe(1500)
  })
})
