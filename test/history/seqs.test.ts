/** The counter of a history: what it gives once it never gives again (08 §1). */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { HistoryUnderTest, keepAll, messages } from './history-under-test.ts'

const day = 24 * 3_600_000

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
    await it.prune()
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
