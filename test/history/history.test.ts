/** What a history promises, as a script of additions and reads (08 §1). */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type HistoryPage, rowId } from '@claudemesh/history'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { events, HistoryUnderTest, messages, range, rowOf } from './history-under-test.ts'

describe('recording', () => {
  test('gives what was added, whole, in order of seq', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 3)
    const rows = await it.read()
    expect(rows.map((row) => row.seq)).toEqual([1, 2, 3])
    expect(rows[1]).toEqual({
      ...rowOf(2),
      seq: 2,
      partition: 'messages/mesh=home',
      row_id: rowId('messages/mesh=home', rowOf(2)),
    })
    it.history.close()
  })

  test('counts over all partitions, and stores what says the same once', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 2)
    it.add(3, 4, events)
    expect(it.history.append(messages, { rows: [rowOf(2), rowOf(5)], cursors: [] })).toBe(1)
    expect((await it.read()).map((row) => row.seq)).toEqual([1, 2, 5])
    expect((await it.read({}, events)).map((row) => row.seq)).toEqual([3, 4])
    expect(it.history.partitions()).toEqual([messages, events])
    it.history.close()
  })

  test('moves the cursor of a source with its rows, and never back', () => {
    const it = new HistoryUnderTest()
    it.add(1, 7)
    expect(it.history.cursor(messages, 'test')).toMatchObject({ generation: 'g', position: 7 })
    const back = { rows: [rowOf(8)], cursors: [{ source: 'test', generation: 'g', position: 6 }] }
    expect(() => it.history.append(messages, back)).toThrow('would move back')
    it.reopen()
    expect(it.history.cursor(messages, 'test')).toMatchObject({ position: 7 })
    it.history.close()
  })

  test('keeps a body that is no well-formed text as what a database holds of it', async () => {
    const it = new HistoryUnderTest()
    it.history.append(messages, {
      rows: [rowOf(1, { body: 'x\ud800' }), rowOf(2, { body: null, meta: null })],
      cursors: [],
    })
    await it.history.compact(messages)
    expect((await it.read()).map((row) => row.body)).toEqual(['x\ufffd', null])
    it.history.close()
  })
})

describe('reading', () => {
  test('gives the rows of a range, and where the next read begins', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 2_500)
    expect(await it.numbers({ since: 1_200, until: 2_300 })).toEqual(range(1_201, 2_300))
    const places: number[] = []
    for await (const { row, after } of it.history.readRows(messages, { since: 2_498, columns: ['body'] })) {
      expect(Object.keys(row)).toEqual(['body'])
      places.push(after)
    }
    expect(places).toEqual([2_499, 2_500])
    it.history.close()
  })

  test('gives rows without a seq first, once, and with the first export', async () => {
    const it = new HistoryUnderTest()
    expect(it.history.adopt(messages, [rowOf(1), rowOf(2)])).toBe(2)
    const newest = it.history.newestSeq(messages)
    expect(newest).toBe(1)
    it.add(3, 4)
    const rows = await it.read({ since: 0, until: newest })
    expect(rows.map((row) => [row.seq, row.meta?.['n']])).toEqual([
      [null, 1],
      [null, 2],
    ])
    expect(await it.numbers({ since: newest })).toEqual([3, 4])
    it.history.close()
  })

  test('goes on over a compaction, and gives every row once', async () => {
    const it = new HistoryUnderTest()
    const generations = () =>
      readdirSync(join(it.directory, 'messages/mesh=home')).filter((name) => name.endsWith('.db'))
    it.add(1, 3_000)
    const read: number[] = []
    for await (const { row } of it.history.readRows(messages)) {
      read.push(Number(row.meta?.['n']))
      if (read.length !== 10) continue
      it.add(3_001, 3_010)
      await it.history.compact(messages)
      it.add(3_011, 3_020)
      expect(generations()).toHaveLength(2)
    }
    expect(read).toEqual(range(1, 3_010))
    await eventually('the former one is gone', () => generations().length === 1)
    expect(generations()).toEqual(['gen-2.db'])
    expect(await it.numbers({ since: 3_010 })).toEqual(range(3_011, 3_020))
    it.history.close()
  })
})

describe('a query', () => {
  const anything = {
    direction: null,
    sender: null,
    destination: null,
    state: null,
    clientMessageId: null,
    brokerMessageId: null,
    from: 0,
    to: Number.MAX_SAFE_INTEGER,
  }
  const orders = [
    ['oldest', range(1, 60)],
    ['newest', range(1, 60).toReversed()],
  ] as const

  test.each(orders)('gives every row once, %s first, page by page', (order, expected) => {
    const it = new HistoryUnderTest()
    it.add(1, 60)
    const found: (number | null)[] = []
    for (let after: number | null = null; ; ) {
      const page: HistoryPage = it.history.query(messages, { ...anything, order, after, limit: 25 })
      found.push(...page.rows.map((row) => row.seq))
      after = page.next
      if (after === null) break
    }
    expect(found).toEqual(expected)
    it.history.close()
  })

  test.each(orders)('looks at so many rows for one page, and says how far it came: %s first', (order) => {
    const it = new HistoryUnderTest()
    it.add(1, 10_050)
    const rare = { ...anything, order, limit: 10, clientMessageId: order === 'oldest' ? 'row-10050' : 'row-1' }
    const first = it.history.query(messages, { ...rare, after: null })
    expect(first).toEqual({ rows: [], next: order === 'oldest' ? 10_000 : 51 })
    const second = it.history.query(messages, { ...rare, after: first.next })
    expect(second).toMatchObject({ rows: [{ client_message_id: rare.clientMessageId }], next: null })
    it.history.close()
  })
})
