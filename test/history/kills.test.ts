/** A process that is killed at each step of its work on a history (08 §1), and goes on where it was. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { HistoryUnderTest, messages, range } from './history-under-test.ts'

/** `pass`: at which time it comes there. */
const steps: readonly { readonly point: string; readonly pass: number }[] = [
  { point: 'history.seqs.before_reserve', pass: 1 },
  { point: 'history.seqs.reserved', pass: 1 },
  { point: 'history.partition.before_rename', pass: 1 },
  { point: 'history.partition.made', pass: 1 },
  { point: 'history.append.before_commit', pass: 3 },
  { point: 'history.append.committed', pass: 3 },
  { point: 'history.promise.committed', pass: 3 },
  { point: 'history.acknowledge.before_commit', pass: 3 },
  { point: 'history.prune.before_commit', pass: 2 },
  { point: 'history.prune.committed', pass: 2 },
  { point: 'history.compact.copied', pass: 2 },
  { point: 'history.compact.synced', pass: 2 },
  { point: 'history.compact.verified', pass: 2 },
  { point: 'history.compact.before_swap', pass: 2 },
  { point: 'history.compact.swapped', pass: 2 },
]

describe('a process that is killed while it records', () => {
  test.each(steps)('at $point: each row is there once, and keeps its seq', async ({ point, pass }) => {
    const directory = join(scratchDirectory(), 'history')
    const run = ['history/children/record.mjs', [directory, '20']] as const
    const killed = startChild(...run, { environment: { CLAUDEMESH_CRASH_AT: `${point}:${pass}` } })
    expect(await killed.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
    const next = startChild(...run)
    expect(await next.exited).toMatchObject({ code: 0, stderr: '' })
    const promised = [...killed.lines, ...next.lines].map((line) => line.split(' ').map(Number) as [number, number])
    const seqOf = new Map(promised.map(([n, seq]) => [n, seq]))
    for (const [n, seq] of promised) expect(seqOf.get(n), `the seq of row ${n}`).toBe(seq)
    expect(new Set(seqOf.values()).size).toBe(seqOf.size)
    // What was pruned had been read before: the child acknowledges what it has printed.
    expect([...seqOf.keys()].toSorted((one, other) => one - other)).toEqual(range(1, 20))
    const it = new HistoryUnderTest(directory)
    const left = await it.read()
    expect(left.map((row) => row.seq)).toEqual(left.map((row) => seqOf.get(Number(row.meta?.['n']))))
    expect(it.history.lost(messages, 0, Number.MAX_SAFE_INTEGER)).toEqual({ rows: 0 })
    it.history.close()
    expect(readdirSync(join(directory, 'messages/mesh=home')).filter((name) => name.endsWith('.db'))).toHaveLength(1)
  })
})
