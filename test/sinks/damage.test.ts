/**
 * Files of a history that are damaged in every way, under a sink that had exported a part of it: what can be read is
 * salvaged, nothing that the sink has is exported again, and what comes afterwards leaves once.
 */
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { examinePartition, formatPartition, salvagePartition } from '@claudemesh/history'
import { listExported } from '@claudemesh/sinks/state'
import { expect, onTestFinished, test } from 'vitest'
import { BlobSink, jsonlWriter, LocalDirectory, parseSchedule, ScheduledSink } from '../../packages/sinks/src/index.ts'
import { HistoryUnderTest, messages, range, rowOf } from '../history/history-under-test.ts'
import { ManualTime } from '../support/manual-time.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'
import { createRandom, seeded } from '../support/seed.ts'

const rounds = Number(process.env['CLAUDEMESH_TEST_SINK_DAMAGE'] ?? 2)
const exported = 300
const recorded = 420
const pageBytes = 4096

type Spoil = (bytes: Buffer, random: () => number) => Buffer

const below = (random: () => number, count: number) => Math.floor(random() * count)
const flip: Spoil = (bytes, random) => {
  const at = below(random, bytes.length)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8))
  return bytes
}
const overwrite: Spoil = (bytes, random) => {
  const page = below(random, bytes.length / pageBytes) * pageBytes
  return bytes.fill(0xa5, page, page + pageBytes)
}
const cut: Spoil = (bytes, random) => bytes.subarray(0, below(random, bytes.length))
const empty: Spoil = () => Buffer.alloc(0)

/** Null: the file is deleted. */
const damages: readonly { readonly file: 'current' | 'database' | 'log' | 'seqs'; readonly spoil: Spoil | null }[] = [
  ...([flip, overwrite, cut, empty, null] as const).map((spoil) => ({ file: 'database' as const, spoil })),
  ...([flip, cut, null] as const).map((spoil) => ({ file: 'log' as const, spoil })),
  ...([empty, null] as const).map((spoil) => ({ file: 'current' as const, spoil })),
  ...([cut, null] as const).map((spoil) => ({ file: 'seqs' as const, spoil })),
]

for (const { file, spoil } of damages) {
  const { seed } = seeded()
  test(`${file}, ${spoil?.name ?? 'deleted'}: nothing is exported twice, and what comes afterwards is (seed ${seed})`, async () => {
    for (let round = 0; round < rounds; round += 1) {
      const place = new Place()
      await place.exportSome()
      place.crash()
      place.spoil(file, spoil, createRandom(seed + round))
      place.recover()
      await place.goOn()
      const numbers = await place.numbers()
      expect(new Set(numbers).size, `nothing twice, seed ${seed + round}`).toBe(numbers.length)
      const lost = range(1, recorded).filter((n) => !numbers.includes(n))
      expect(
        lost.filter((n) => n <= exported),
        'what was exported is there',
      ).toEqual([])
      if (file === 'seqs' || file === 'current') expect(lost, 'nothing of the rows was damaged').toEqual([])
      expect(
        numbers.filter((n) => n > recorded),
        'what came afterwards is there, once',
      ).toEqual(range(recorded + 1, recorded + 50))
    }
  })
}

test('a row that was altered is left behind, told of, and never exported', async () => {
  const place = new Place()
  await place.exportSome()
  place.crash()
  place.checkpoint()
  place.spoil(
    'database',
    (bytes) => Buffer.from(bytes.toString('latin1').replaceAll('body 400', 'body 4oo'), 'latin1'),
    Math.random,
  )
  expect(examinePartition(place.partition, messages)).toEqual([
    expect.stringMatching(/^row \d+ does not say what was recorded$/),
  ])
  place.recover()
  await place.goOn()
  expect(await place.numbers()).toEqual(range(1, recorded + 50).filter((n) => n !== 400))
  expect(place.lost).toBe(1)
})

class Place {
  readonly #directory = memoryDirectory()
  readonly partition = join(this.#directory, 'history', formatPartition(messages))
  lost = 0
  #it = new HistoryUnderTest(join(this.#directory, 'history'))

  constructor() {
    onTestFinished(() => this.#it.history.close())
  }

  async exportSome(): Promise<void> {
    this.#add(1, exported)
    const sink = this.#open()
    await sink.run()
    await sink.close()
    this.#add(exported + 1, recorded)
  }

  /** Leaves the files as a kill leaves them. */
  crash(): void {
    const image = join(this.#directory, 'image')
    cpSync(join(this.#directory, 'history'), image, { recursive: true })
    this.#it.history.close()
    rmSync(join(this.#directory, 'history'), { recursive: true })
    renameSync(image, join(this.#directory, 'history'))
    for (const name of readdirSync(this.partition)) if (name.endsWith('-shm')) rmSync(join(this.partition, name))
  }

  /** Moves what is in the log into the database. */
  checkpoint(): void {
    new HistoryUnderTest(join(this.#directory, 'history')).history.close()
  }

  spoil(file: 'current' | 'database' | 'log' | 'seqs', spoil: Spoil | null, random: () => number): void {
    const paths = {
      current: join(this.partition, 'current'),
      database: join(this.partition, 'gen-1.db'),
      log: join(this.partition, 'gen-1.db-wal'),
      seqs: join(this.#directory, 'history/seqs.json'),
    }
    const path = paths[file]
    if (spoil === null) rmSync(path)
    else if (existsSync(path)) writeFileSync(path, spoil(readFileSync(path), random))
  }

  /** As `daemon recover --confirm` does. */
  recover(): void {
    if (examinePartition(this.partition, messages).length === 0) return
    const to = `${this.partition}.salvaged`
    salvagePartition({ directory: this.partition, to, partition: messages, now: Date.now })
    const aside = `${this.partition}.corrupt`
    renameSync(this.partition, aside)
    renameSync(to, this.partition)
  }

  /** Starts again, records what its source has behind the cursor, adds some more, and exports. */
  async goOn(): Promise<void> {
    this.#it = new HistoryUnderTest(join(this.#directory, 'history'), listExported(join(this.#directory, 'sinks')))
    const { history } = this.#it
    const end = { source: 'test', generation: 'g', position: recorded }
    if (history.isOvertaken(messages)) history.passOver(messages, [end])
    else if (history.cursor(messages, 'test') === null && !history.isNew) {
      history.append(messages, { rows: [], cursors: [end] })
    }
    this.#add((history.cursor(messages, 'test')?.position ?? 0) + 1, recorded + 50)
    const sink = this.#open()
    this.lost = (await sink.run()).lost
    await sink.close()
  }

  async numbers(): Promise<number[]> {
    const entries = readdirSync(join(this.#directory, 'exports'), { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    const rows = await Promise.all(files.toSorted().map((path) => jsonlWriter.decode(readFileSync(path))))
    return rows.flat().map((row) => {
      expect(row).toMatchObject({ body: rowOf(Number(row.meta?.['n'])).body })
      return Number(row.meta?.['n'])
    })
  }

  #add(from: number, to: number): void {
    for (let n = from; n <= to; n += 20) this.#it.add(n, Math.min(n + 19, to))
  }

  #open(): ScheduledSink {
    const schedule = parseSchedule('0 0 1 1 *')
    if (schedule === null) throw new Error('no schedule')
    return new ScheduledSink({
      ...{ name: 'lake', directory: join(this.#directory, 'sinks/lake'), source: this.#it.history, schedule },
      sink: new BlobSink({ writer: jsonlWriter, destination: new LocalDirectory(join(this.#directory, 'exports')) }),
      ...{ datasets: null, jitterMsMax: 0, runtime: new ManualTime(), onEvent: () => undefined },
    })
  }
}
