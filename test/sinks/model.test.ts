/**
 * 4.8 Random interleavings of append, prune, compaction, runs, restarts and failures, over a real history and two real sinks:
 * when all is quiet, everything that was ever added is at both destinations once, or was told of as lost.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  BlobSink,
  ForwardSink,
  jsonlWriter,
  LocalDirectory,
  type ScheduledSink,
} from '../../packages/sinks/src/index.ts'
import { BatchReceiver, countTo, type Fault } from '../support/batch-receiver.ts'
import { createRandom, seeded } from '../support/seed.ts'
import { ExportedHistory } from './exported-history.ts'

const runs = Number(process.env['CLAUDEMESH_TEST_SINK_RUNS'] ?? 6)
const steps = 40
const faults: readonly Fault[] = [
  'answer-lost',
  { status: 500 },
  { status: 413 },
  { status: 503, headers: { 'retry-after': '400' } },
]

test('4.8 what was added is exported once, or told of as lost', async () => {
  const { seed } = seeded()
  console.log(`interleavings of sinks: ${runs} of ${steps} steps, seed ${seed}`)
  let exported = 0
  let lost = 0
  for (let run = 0; run < runs; run += 1) {
    const world = await World.open(createRandom(seed + run))
    for (let step = 0; step < steps; step += 1) await world.step()
    await world.settle()
    for (const { name, numbers, told } of await world.ends()) {
      const label = `seed ${seed + run}, ${name}`
      expect(new Set(numbers).size, `${label}: nothing twice`).toBe(numbers.length)
      const missing = countTo(world.history.added).filter((n) => !numbers.includes(n))
      expect(missing.length, `${label}: nothing is missing that was not told of`).toBeLessThanOrEqual(told)
      exported += numbers.length
      lost += told
    }
  }
  console.log(`rows exported once: ${exported}, told of as lost: ${lost}`)
  expect(exported).toBeGreaterThan(0)
})

class World {
  readonly history = new ExportedHistory()
  readonly #random: () => number
  readonly #receiver: BatchReceiver
  readonly #objects = join(this.history.directory, 'exports')
  #forward: ScheduledSink
  #blob: ScheduledSink

  static async open(random: () => number): Promise<World> {
    const world = new World(random, await BatchReceiver.start())
    // From here on retention knows both sinks.
    world.history.add(1)
    await world.settle()
    return world
  }

  private constructor(random: () => number, receiver: BatchReceiver) {
    this.#random = random
    this.#receiver = receiver
    this.#forward = this.#openForward()
    this.#blob = this.#openBlob()
  }

  async step(): Promise<void> {
    const moves: (() => unknown)[] = [
      () => this.history.add(1 + this.#below(1200)),
      () => this.history.add(1 + this.#below(20)),
      () => this.history.prune(),
      () => (this.history.added > 0 ? this.history.compact() : null),
      () => this.#forward.run().catch(() => undefined),
      () => this.#blob.run(),
      () => void this.#receiver.faults.push(faults[this.#below(faults.length)] ?? null),
      () => this.#restart(),
      () => this.history.time.advance(this.#below(3_600_000)),
    ]
    await moves[this.#below(moves.length)]?.()
  }

  /** Everything works again, and every sink has run to its end. */
  async settle(): Promise<void> {
    this.#receiver.faults.length = 0
    for (const sink of [this.#forward, this.#blob]) expect((await sink.run()).error).toBe(null)
  }

  /** What each destination has, and how many rows its sink has told of as lost. */
  async ends() {
    const lostOf = (sink: ScheduledSink) => sink.summary().lost
    const entries = readdirSync(this.#objects, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    const rows = (await Promise.all(files.map((path) => jsonlWriter.decode(readFileSync(path))))).flat()
    return [
      { name: 'forward', numbers: this.#receiver.numbers(), told: lostOf(this.#forward) },
      { name: 'blob', numbers: rows.map(({ meta }) => Number(meta?.['n'])), told: lostOf(this.#blob) },
    ]
  }

  /** Ends both in the middle of whatever they do. */
  async #restart(): Promise<void> {
    const running = [this.#forward, this.#blob].map((sink) => sink.run().catch(() => undefined))
    for (let turns = this.#below(40); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve))
    await Promise.all([this.#forward.close(), this.#blob.close(), ...running])
    this.#forward = this.#openForward()
    this.#blob = this.#openBlob()
  }

  #openForward(): ScheduledSink {
    const plain = { compression: 'gzip' as const, tokenRef: null, signatureKeyRef: null }
    const sink = new ForwardSink({ url: this.#receiver.url, ...plain, runtime: this.history.time })
    return this.history.open(sink, { name: 'forward' })
  }

  #openBlob(): ScheduledSink {
    const limits = { rowsMax: 500, bytesMax: 100_000, chunksMax: 3 }
    const destination = new LocalDirectory(this.#objects)
    return this.history.open(new BlobSink({ writer: jsonlWriter, destination, limits }), { name: 'blob' })
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count)
  }
}
