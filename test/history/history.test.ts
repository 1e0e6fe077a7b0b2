/** What a history promises, as a script of additions and reads (08 §1). */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rowId } from '@claudemesh/history'
import { describe, expect, test } from 'vitest'
import { events, HistoryUnderTest, keepAll, messages, range, rowOf } from './history-under-test.ts'

const day = 24 * 3_600_000

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
    it.add(1, 3_000)
    const read: number[] = []
    for await (const { row } of it.history.readRows(messages)) {
      read.push(Number(row.meta?.['n']))
      if (read.length !== 10) continue
      it.add(3_001, 3_010)
      await it.history.compact(messages)
      it.add(3_011, 3_020)
      expect(readdirSync(join(it.directory, 'messages/mesh=home')).filter((name) => name.endsWith('.db'))).toHaveLength(
        2,
      )
    }
    expect(read).toEqual(range(1, 3_010))
    expect(readdirSync(join(it.directory, 'messages/mesh=home')).filter((name) => name.endsWith('.db'))).toEqual([
      'gen-2.db',
    ])
    expect(await it.numbers({ since: 3_010 })).toEqual(range(3_011, 3_020))
    it.history.close()
  })
})

describe('a seq is never given again', () => {
  test('after a start that finds seqs reserved, and after one that does not', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 2)
    const abandoned = it.history
    const second = new HistoryUnderTest(it.directory)
    second.add(3, 3)
    expect((await second.read()).map((row) => row.seq)).toEqual([1, 2, 10_001])
    second.reopen()
    second.add(4, 4)
    expect((await second.read()).at(-1)?.seq).toBe(10_002)
    second.history.close()
    expect(abandoned.broken).toBe(false)
  })

  test('after the newest rows were pruned, and in an empty partition', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 5)
    it.now += 2 * day
    it.retention = { ...keepAll, ageMsMax: day }
    await it.history.prune()
    expect(await it.numbers()).toEqual([])
    expect(it.history.newestSeq(messages)).toBe(5)
    await it.history.compact(messages)
    it.reopen()
    it.add(6, 6)
    expect((await it.read())[0]?.seq).toBeGreaterThan(5)
    it.history.close()
  })

  const marks: readonly [string, (path: string) => void][] = [
    ['mark_missing', (path) => rmSync(path)],
    ['mark_damaged', (path) => writeFileSync(path, 'x')],
    ['mark_behind', (path) => writeFileSync(path, '{"v":1,"reserved":2,"jumps":[]}')],
  ]
  test.each(marks)('%s: it goes on far ahead, and says so', async (reason, spoil) => {
    const it = new HistoryUnderTest()
    it.add(1, 5)
    it.history.close()
    spoil(join(it.directory, 'seqs.json'))
    it.reopen()
    it.add(6, 6)
    expect((await it.read()).at(-1)?.seq).toBe(1_000_000_006)
    expect(it.history.jumps).toMatchObject([{ reason, to: 1_000_000_005 }])
    it.reopen()
    expect(it.history.jumps).toHaveLength(1)
    it.history.close()
  })

  test('after a sink has acknowledged more than there ever was here', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 5)
    it.history.acknowledge('lake', messages, 90)
    it.add(6, 6)
    expect((await it.read()).at(-1)?.seq).toBe(1_000_010_001)
    expect(it.history.jumps).toMatchObject([{ reason: 'sink_ahead' }])
    it.history.close()
  })
})

describe('retention', () => {
  test('takes the oldest rows by age', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 3)
    it.now += day
    it.add(4, 6)
    it.retention = { ...keepAll, ageMsMax: day / 2 }
    expect(await it.history.prune()).toEqual([{ partition: 'messages/mesh=home', rows: 3, lost: 0 }])
    expect(await it.numbers()).toEqual([4, 5, 6])
    expect(it.history.stats()).toMatchObject([{ rows: 3, prunedRows: 3, oldestGoesAt: it.now + day / 2 }])
    it.history.close()
  })

  test('takes the oldest rows by size, until what is left fits', async () => {
    const it = new HistoryUnderTest()
    for (const n of range(1, 40)) {
      const rows = range(1, 100).map((m) => rowOf(n * 100 + m, { body: 'x'.repeat(1_000) }))
      it.history.append(messages, { rows, cursors: [] })
    }
    it.retention = { ...keepAll, bytesMax: 2 * 1024 * 1024 }
    await it.history.prune()
    const [stats] = it.history.stats()
    expect(stats?.usedBytes).toBeLessThanOrEqual(2 * 1024 * 1024)
    expect(stats?.rows).toBeGreaterThan(1_000)
    expect((await it.numbers()).at(-1)).toBe(4_100)
    it.history.close()
  })

  test('waits for every sink that is known', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 10)
    it.now += 2 * day
    it.retention = { ...keepAll, ageMsMax: day }
    it.history.acknowledge('fast', messages, 8)
    it.history.acknowledge('slow', messages, 3)
    await it.history.prune()
    expect(await it.numbers()).toEqual(range(4, 10))
    it.history.acknowledge('slow', messages, 6)
    it.reopen()
    await it.history.prune()
    expect(await it.numbers()).toEqual(range(7, 10))
    expect(it.losing).toEqual([])
    it.history.keepSinks(['fast'])
    await it.history.prune()
    expect(await it.numbers()).toEqual([9, 10])
    it.history.close()
  })

  test('passes a cap: says so first, and counts what is lost', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 10)
    it.now += 2 * day
    it.add(11, 12)
    it.history.acknowledge('slow', messages, 3)
    it.retention = { ...keepAll, ageMsMax: day, capAgeMs: day }
    const pruning = it.history.prune()
    expect(it.losing).toEqual(['messages'])
    expect(await pruning).toMatchObject([{ rows: 10, lost: 7 }])
    expect(it.history.lost(messages, 3, 12)).toEqual({ rows: 7 })
    expect(it.history.lost(messages, 5, 8)).toEqual({ rows: 3 })
    it.reopen()
    await it.history.compact(messages)
    expect(it.history.lost(messages, 0, 12)).toEqual({ rows: 7 })
    it.history.acknowledge('slow', messages, 12)
    expect(it.history.lost(messages, 0, 12)).toEqual({ rows: 0 })
    it.history.close()
  })
})

describe('compaction', () => {
  test('gives back the space of what was deleted, and changes nothing else', async () => {
    const it = new HistoryUnderTest()
    it.history.append(messages, {
      rows: range(1, 2_000).map((n) => rowOf(n, { body: 'x'.repeat(1_000) })),
      cursors: [],
    })
    it.now += 2 * day
    it.add(2_001, 2_010)
    it.history.acknowledge('lake', messages, 2_005)
    it.retention = { ...keepAll, ageMsMax: day }
    await it.history.prune()
    const before = await it.read()
    const compacted = await it.history.compact(messages)
    expect(compacted).toMatchObject({ generation: 'gen-2.db', rows: 10 })
    expect(compacted.bytesAfter).toBeLessThan(compacted.bytesBefore / 20)
    expect(await it.read()).toEqual(before)
    expect(it.history.cursor(messages, 'test')).toMatchObject({ position: 2_010 })
    expect(it.history.stats()).toMatchObject([{ sinks: [{ name: 'lake', acknowledgedSeq: 2_005 }], prunedRows: 2_000 }])
    it.reopen()
    expect(await it.read()).toEqual(before)
    it.history.close()
  })

  test('takes in what is appended meanwhile, once, while appends do not wait', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 4_000)
    const compacting = it.history.compact(messages)
    let isDone = false
    void compacting.then(() => {
      isDone = true
    })
    let n = 4_000
    while (!isDone) {
      n += 1
      it.add(n, n)
      await new Promise(setImmediate)
    }
    expect(n).toBeGreaterThan(4_010)
    expect(await it.numbers()).toEqual(range(1, n))
    it.history.close()
  })

  test('refuses a second one of the same partition, and ends when the history is closed', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 5_000)
    const first = it.history.compact(messages)
    await expect(it.history.compact(messages)).rejects.toMatchObject({ code: 'compaction_running' })
    it.history.close()
    await expect(first).rejects.toThrow()
    it.reopen()
    expect(await it.numbers()).toEqual(range(1, 5_000))
    expect(readdirSync(join(it.directory, 'messages/mesh=home')).filter((name) => name.startsWith('gen-2'))).toEqual([])
    it.history.close()
  })

  test('does not put in force what is not what was recorded', async () => {
    const it = new HistoryUnderTest()
    it.history.append(messages, { rows: [rowOf(1, { body: 'green, all of it' })], cursors: [] })
    it.history.close()
    const path = join(it.directory, 'messages/mesh=home/gen-1.db')
    const bytes = readFileSync(path)
    bytes.write('black', bytes.indexOf('green, all of it'))
    writeFileSync(path, bytes)
    it.reopen()
    await expect(it.history.compact(messages)).rejects.toMatchObject({ code: 'history_damaged' })
    expect(readFileSync(join(path, '../current'), 'utf8')).toBe('gen-1.db\n')
    it.add(2, 2)
    expect(await it.numbers()).toEqual([1, 2])
    it.history.close()
  })
})

describe('damage', () => {
  const spoilt: readonly [string, string, (directory: string) => void][] = [
    ['a missing pointer', 'current is missing; there is gen-1.db', (at) => rmSync(join(at, 'current'))],
    ['a pointer that is none', 'names no generation', (at) => writeFileSync(join(at, 'current'), '../../../outbox.db')],
    ['a generation that is missing', 'names gen-1.db, which is missing', (at) => rmSync(join(at, 'gen-1.db'))],
    ['a generation cut short', 'is damaged', (at) => truncateSync(join(at, 'gen-1.db'), 5_000)],
  ]
  test.each(spoilt)(
    '%s: a clear error, nothing is removed, and the next start has all of it back',
    (_, detail, spoil) => {
      const it = new HistoryUnderTest()
      it.add(1, 50)
      it.add(1, 5, events)
      it.history.close()
      const directory = join(it.directory, 'messages/mesh=home')
      const before = readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))] as const)
      spoil(directory)
      const left = listFiles(directory)
      expect(() => it.reopen()).toThrow(detail)
      expect(listFiles(directory)).toEqual(left)
      for (const [name, bytes] of before) writeFileSync(join(directory, name), bytes, { mode: 0o600 })
      it.reopen()
      expect(it.history.newestSeq(messages)).toBe(50)
      it.history.close()
    },
  )

  test('of a partition that was moved away: it begins anew, with other seqs', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 5)
    it.history.close()
    rmSync(join(it.directory, 'messages'), { recursive: true })
    it.reopen()
    expect(it.history.isNew).toBe(false)
    expect(it.history.cursor(messages, 'test')).toBe(null)
    it.add(6, 6)
    expect((await it.read())[0]?.seq).toBe(6)
    expect(existsSync(join(it.directory, 'messages/mesh=home/gen-1.db'))).toBe(true)
    it.history.close()
  })
})

/** Without what SQLite makes to look into a database. */
function listFiles(directory: string): string[] {
  return readdirSync(directory).filter((name) => !/-(wal|shm)$/.test(name))
}
