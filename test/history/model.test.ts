/** Random interleavings of everything that happens to a history, against a model of what must be in it (08 §4). */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { createRandom, seeded } from '../support/seed.ts'
import { HistoryUnderTest, keepAll, messages, range, rowOf } from './history-under-test.ts'

const runs = Number(process.env['CLAUDEMESH_TEST_HISTORY_RUNS'] ?? 8)
const stepsOfRun = 40
const hour = 3_600_000

test(`after any interleaving every row was exported once or is counted as lost (${runs} runs)`, async () => {
  const { seed } = seeded()
  console.log(`seed ${seed}`)
  for (const run of range(1, runs)) await play(createRandom(seed + run), `seed ${seed}, run ${run}`)
}, 120_000)

/** One sink that reads what is new, or half of it, and acknowledges or fails to. */
class Export {
  /** Number of a row to its seq: what the far end has. */
  readonly rows = new Map<number, number>()
  lost = 0
  acknowledged = 0

  async tick(it: HistoryUnderTest, part: number): Promise<void> {
    const newest = it.history.newestSeq(messages)
    const until = this.acknowledged + Math.ceil((newest - this.acknowledged) * part)
    const lost = it.history.lost(messages, this.acknowledged, until).rows
    for await (const { row } of it.history.readRows(messages, { since: this.acknowledged, until })) {
      const n = Number(row.meta?.['n'])
      expect(this.rows.has(n), `row ${n} is exported once`).toBe(false)
      this.rows.set(n, Number(row.seq))
    }
    this.lost += lost
    this.acknowledged = until
    it.history.acknowledge('lake', messages, until)
  }
}

async function play(random: () => number, label: string): Promise<void> {
  let it = new HistoryUnderTest(join(scratchDirectory(), 'history'))
  const left: HistoryUnderTest[] = []
  const far = new Export()
  let added = 0
  const add = (count: number) => {
    it.add(added + 1, added + count)
    added += count
  }
  add(1)
  it.history.acknowledge('lake', messages, 0)
  const some = (most: number) => 1 + Math.floor(random() * most)
  const steps: readonly (() => Promise<unknown> | unknown)[] = [
    () => add(some(30)),
    // What is there already, and says the same, is not stored again.
    async () => it.history.append(messages, { rows: (await it.numbers()).slice(-3).map((n) => rowOf(n)), cursors: [] }),
    () => far.tick(it, 1),
    () => far.tick(it, random()),
    () => {
      it.now += some(10) * hour
    },
    () => {
      const capAgeMs = random() < 0.5 ? null : 20 * hour
      it.retention = { ...keepAll, ageMsMax: 5 * hour, capAgeMs }
      return it.prune()
    },
    async () => {
      const compacting = it.history.compact(messages)
      add(some(5))
      await compacting
    },
    () => it.reopen(),
    () => {
      // Without any goodbye: what was reserved is passed over.
      left.push(it)
      const { now, retention, directory } = it
      it = Object.assign(new HistoryUnderTest(directory), { now, retention })
    },
  ]
  for (let step = 0; step < stepsOfRun; step += 1) await steps[Math.floor(random() * steps.length)]?.()
  await far.tick(it, 1)
  const seqs = range(1, added).flatMap((n) => far.rows.get(n) ?? [])
  expect(seqs, label).toEqual(seqs.toSorted((one, other) => one - other))
  expect(new Set(seqs).size, label).toBe(seqs.length)
  expect(far.rows.size + far.lost, label).toBe(added)
  for (const each of [...left, it]) each.history.close()
}
