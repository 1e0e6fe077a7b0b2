/** Retention and compaction of a history, and what damage of it does (08 §1). */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { events, HistoryUnderTest, keepAll, messages, range, rowOf } from './history-under-test.ts'

const day = 24 * 3_600_000

describe('retention', () => {
  test('takes the oldest rows by age', async () => {
    const it = new HistoryUnderTest()
    it.add(1, 3)
    it.now += day
    it.add(4, 6)
    it.retention = { ...keepAll, ageMsMax: day / 2 }
    expect(await it.prune()).toEqual([{ partition: 'messages/mesh=home', rows: 3, lost: 0 }])
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
    await it.prune()
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
    await it.prune()
    expect(await it.numbers()).toEqual(range(4, 10))
    it.history.acknowledge('slow', messages, 6)
    it.reopen()
    await it.prune()
    expect(await it.numbers()).toEqual(range(7, 10))
    expect(it.losing).toEqual([])
    it.history.keepSinks(['fast'])
    await it.prune()
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
    const pruning = it.prune()
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
    await it.prune()
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
