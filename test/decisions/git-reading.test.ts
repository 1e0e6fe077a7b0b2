/** Long logs of decisions in git (07 §3): read once, at the pace of whoever reads, up to the first damage. */
import { spawnSync } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync, renameSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { DecisionEvent, GitDecisionLog } from '@claudemesh/decisions'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { git, openLog } from './git-repository.ts'

const space = 'plans'
/** More than what is read ahead for somebody who takes nothing. */
const length = 3_000
const all = Array.from({ length }, (_, index) => index + 1)

async function* generate(): AsyncGenerator<DecisionEvent> {
  for (const seq of all) {
    const event_id = `01K0000000000000${String(seq).padStart(10, '0')}`
    const place = { space, seq, event_id, intent_id: `intent-${seq}`, ts: '2026-01-01T00:00:00.000Z' }
    yield { ...place, kind: 'state', actor: 'ada', payload: { key: `key-${seq % 10}`, value: 'Zoë' } }
  }
}

async function longLog(): Promise<string> {
  const path = join(scratchDirectory(), 'decisions.git')
  const log = await openLog(path)
  await log.importEvents(space, generate())
  return path
}

/** The numbers of what is read; whoever is slow lets everything else happen after each event. */
async function* numbers(log: GitDecisionLog, o: { after?: number; until?: number; isSlow?: boolean }) {
  for await (const { seq } of log.events(space, o)) {
    yield seq
    if (o.isSlow === true) await nextTurn()
  }
}

async function collect(source: AsyncIterable<number>): Promise<readonly number[]> {
  const read: number[] = []
  for await (const seq of source) read.push(seq)
  return read
}

test('whoever reads, quickly or slowly, alone or beside others, gets each event once and in order', async () => {
  const path = await longLog()
  const log = await openLog(path)
  const readers = [{}, { isSlow: true }, {}].map((o) => collect(numbers(log, o)))
  for (const read of await Promise.all(readers)) expect(read).toEqual(all)
  expect(await collect(numbers(await openLog(path), { isSlow: true }))).toEqual(all)
})

test('a part of a log that was never read is that part', async () => {
  const path = await longLog()
  for (const { after, until } of [
    { after: 0, until: 1 },
    { after: 255, until: 257 },
    { after: 2_900, until: 9_999 },
    { after: 9_999, until: 10_000 },
  ]) {
    const part = await collect(numbers(await openLog(path), { after, until }))
    expect(part).toEqual(all.slice(after, until))
  }
})

test('what is appended while somebody reads is not read, and known all the same', async () => {
  const log = await openLog(await longLog())
  const reading = numbers(log, {})
  const read = [(await reading.next()).value]
  const payload = { key: 'x', value: 1 }
  const [event] = await log.append(space, [{ kind: 'state', actor: 'ada', payload }], { intentId: 'another' })
  expect(event?.seq).toBe(length + 1)
  for await (const seq of reading) read.push(seq)
  expect(read).toEqual(all)
  const repeated = await log.append(space, [{ kind: 'state', actor: 'ada', payload }], { intentId: 'another' })
  expect(repeated).toEqual([event])
})

test('whoever stops reading leaves the log usable', async () => {
  const log = await openLog(await longLog())
  for await (const seq of numbers(log, {})) if (seq === 10) break
  expect((await log.head(space)).seq).toBe(length)
})

test('two events that git cannot read are log_corrupt with the first of them, for whoever reads', async () => {
  const path = await longLog()
  const commit = spoil(path, 1_001, 1_400)
  for (const o of [{}, { isSlow: true }]) {
    const log = await openLog(path)
    const read: number[] = []
    const reading = async () => {
      for await (const seq of numbers(log, o)) read.push(seq)
    }
    await expect(reading()).rejects.toMatchObject({ code: 'log_corrupt', data: { seq: 1_001, commit } })
    expect(read).toEqual(all.slice(0, 1_000))
    expect(await collect(numbers(log, { until: 1_000 }))).toEqual(read)
    await expect(log.head(space)).rejects.toMatchObject({ code: 'log_corrupt' })
  }
})

/** Cuts off the events of some decisions, so that git gives up on each. @returns the commit of the first */
function spoil(path: string, ...seqs: readonly number[]): string {
  const packs = join(path, 'objects', 'pack')
  const aside = scratchDirectory()
  for (const file of readdirSync(packs)) renameSync(join(packs, file), join(aside, file))
  for (const file of readdirSync(aside).filter((each) => each.endsWith('.pack'))) {
    spawnSync('git', ['-c', 'core.fsync=none', 'unpack-objects', '-q'], {
      cwd: path,
      input: readFileSync(join(aside, file)),
    })
  }
  const commits = seqs.map((seq) => git(path, 'rev-parse', `spaces/${space}~${length - seq}`))
  for (const commit of commits) {
    const id = git(path, 'rev-parse', `${commit}:event.json`)
    const file = join(path, 'objects', id.slice(0, 2), id.slice(2))
    chmodSync(file, 0o600)
    truncateSync(file, Math.floor(statSync(file).size * 0.6))
  }
  return commits[0] ?? ''
}
