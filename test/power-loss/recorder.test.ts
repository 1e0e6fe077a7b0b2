/**
 * The recorder and its model of a disk, by programs whose durability is known: what was not made durable is lost at the
 * cuts that may take it, and what was is never lost. A sweep that could not fail would show nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import BetterSqlite3 from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import type { Trace } from '../support/powerloss/trace.ts'
import { memoryDirectory, scratchDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'

const random = seeded()

describe.skipIf(whyNotRecordable() !== null)('a recorded run', () => {
  test('is played back to the directory as it really is', async () => {
    const { directory, trace } = await record((place) => {
      place('sh', '-c', 'cd "$0"; for i in 1 2 3 4 5 6; do seq 1 $((i * 900)) > f$i; mkdir -p d$i/e; done', '$D')
      place('sh', '-c', 'cd "$0"; mv f1 d1/e/moved; rm f2; rmdir d2/e; ln f3 d3/twin; ln -s f4 link', '$D')
      place('sh', '-c', 'cd "$0"; truncate -s 70 f4; truncate -s 9000 f5; chmod 600 f6; echo tail >> f6', '$D')
      place(
        'node',
        fileURLToPath(new URL('./children/counting-writer.mjs', import.meta.url)),
        '$D/rows.db',
        'FULL',
        '30',
      )
    })
    const out = join(memoryDirectory(), 'image')
    trace.cut(trace.points, { mode: 'keep', seed: 1, out })
    expect(contentsOf(out)).toEqual(contentsOf(directory))
    console.log(`played back: ${trace.points} changes`)
  })

  test('loses what was not synced, and the names that were not', async () => {
    const { directory, trace, output } = await record((place) =>
      place('node', fileURLToPath(new URL('./children/file-steps.mjs', import.meta.url)), '$D'),
    )
    const out = join(memoryDirectory(), 'image')
    const afterStep = (name: string) => {
      const time = output.find(([step]) => step === name)?.[1]
      if (time === undefined) throw new Error(`no step ${name}`)
      trace.cut(trace.pointAt(time), { mode: 'drop', seed: 1, out })
      return contentsOf(out)
    }
    expect(afterStep('written')).toEqual({})
    expect(afterStep('synced')).toEqual({})
    expect(afterStep('named')).toEqual({ new: 'one' })
    expect(afterStep('replaced')).toEqual({ new: 'one' })
    expect(afterStep('replacement_named')).toEqual({ new: 'two' })
    expect(afterStep('nested')).toEqual({ new: 'two' })
    expect(afterStep('folders_named')).toEqual({ new: 'two', 'folder/below/file': 'deep' })
    expect(afterStep('appended')).toEqual({ new: 'two', 'folder/below/file': 'deep' })
    expect(contentsOf(directory).new).toHaveLength(20_003)
    // The same cut in the other modes: whatever is left of the appended bytes, what was synced before them is there.
    for (let seed = 1; seed <= 20; seed += 1) {
      for (const mode of ['torn', 'subset'] as const) {
        trace.cut(trace.points, { mode, seed, out })
        expect(contentsOf(out).new?.slice(0, 3)).toBe('two')
      }
    }
  })

  test('of a fsync that failed keeps nothing, also when a later one succeeds', async () => {
    const append = 'printf two >> "$0/file"; sync "$0/file"; true'
    const { trace } = await record(
      (place) => {
        place('sh', '-c', append, '$D')
        place('sh', '-c', append, '$D')
      },
      { before: (directory) => writeFileSync(join(directory, 'file'), 'one'), faults: 'eio-fsync=1:file' },
    )
    const out = join(memoryDirectory(), 'image')
    trace.cut(trace.points, { mode: 'subset', seed: random.seed, out })
    expect(readFileSync(join(out, 'file'))).toEqual(Buffer.from('one\0\0\0two'))
  })
})

describe.skipIf(whyNotRecordable() !== null)(`a sweep over a writer of rows (seed ${random.seed})`, () => {
  test.each([
    { synchronous: 'FULL', loses: false },
    { synchronous: 'NORMAL', loses: true },
  ])('synchronous=$synchronous: loses acknowledged rows: $loses', async ({ synchronous, loses }) => {
    const writer = fileURLToPath(new URL('./children/counting-writer.mjs', import.meta.url))
    const { trace, output } = await record((place) => place('node', writer, '$D/rows.db', synchronous, '60'))
    const out = join(memoryDirectory(), 'image')
    let images = 0
    let withLosses = 0
    for (const point of trace.sample(30, { seed: random.seed })) {
      for (const mode of ['drop', 'torn', 'subset'] as const) {
        trace.cut(point, { mode, seed: random.seed, out })
        const acknowledged = output.filter(([, at]) => at < trace.timeOf(point)).length
        images += 1
        if (rowsIn(join(out, 'rows.db')) < acknowledged) withLosses += 1
      }
    }
    console.log(`synchronous=${synchronous}: ${withLosses} of ${images} images have lost acknowledged rows`)
    if (loses) expect(withLosses).toBeGreaterThan(images / 10)
    else expect(withLosses).toBe(0)
  })
})

describe.skipIf(whyNotRecordable() !== null)('after an fsync of the log that failed and a kill', () => {
  test('what the next process acknowledges does not stand behind what the disk does not have', async () => {
    const writer = fileURLToPath(new URL('./children/storage-writer.mjs', import.meta.url))
    const schema = scratchDirectory()
    writeFileSync(join(schema, '001-init.sql'), 'CREATE TABLE written (n INTEGER PRIMARY KEY, filler BLOB NOT NULL);')
    const failingAt = 8
    const { trace, output } = await record(
      (place) => {
        place('sh', '-c', 'node "$@" || test $? = 137', 'sh', writer, '$D/rows.db', schema, '1', '20')
        place('node', writer, '$D/rows.db', schema, '100', '20')
      },
      { faults: `eio-fsync=${failingAt}:rows.db-wal` },
    )
    expect(output.length).toBeGreaterThanOrEqual(20)
    expect(output.length).toBeLessThan(40)
    const out = join(memoryDirectory(), 'image')
    const failed = trace.records.findIndex(({ errno }) => errno !== 0)
    expect(failed).toBeGreaterThan(0)
    const lost: string[] = []
    let images = 0
    for (let point = failed; point <= trace.points; point += 1) {
      for (const mode of ['drop', 'subset'] as const) {
        trace.cut(point, { mode, seed: 1, out })
        images += 1
        const acknowledged = output.filter(([, at]) => at < trace.timeOf(point)).length
        const rows = rowsIn(join(out, 'rows.db'))
        if (rows < acknowledged) lost.push(`point ${point}, ${mode}: ${rows} of ${acknowledged} rows`)
      }
    }
    console.log(`a log whose fsync failed: ${images} images, ${lost.length} have lost acknowledged rows`)
    expect(lost).toEqual([])
  })
})

type Run = (...command: readonly string[]) => void

interface Recorded {
  readonly directory: string

  readonly trace: Trace
  /** The lines that were printed: a name and an instant. */
  readonly output: readonly (readonly [string, bigint])[]
}

/** Records commands, one after the other; in their arguments `$D` is the directory. */
async function record(
  run: (place: Run) => void,
  o: { readonly before?: (directory: string) => void; readonly faults?: string } = {},
): Promise<Recorded> {
  const scratch = scratchDirectory()
  const directory = join(scratch, 'recorded')
  execFileSync('mkdir', [directory])
  o.before?.(directory)
  const recording = await Recording.start({ directory, trace: join(scratch, 'trace'), faults: o.faults ?? '' })
  const output: (readonly [string, bigint])[] = []
  run((...command) => {
    const [program = '', ...rest] = [...recording.launcher, ...command.map((word) => word.replace('$D', directory))]
    const { status, stdout, stderr } = spawnSync(program, rest, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`)
    for (const line of stdout.split('\n').slice(0, -1)) {
      const [name = '', at = ''] = line.split(' ')
      output.push([name, BigInt(at)])
    }
  })
  return { directory, trace: await recording.end(), output }
}

function contentsOf(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => statSync(join(directory, name)).isFile() && !name.endsWith('-shm'))
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(directory, name), 'latin1')]))
}

function rowsIn(path: string): number {
  if (!existsSync(path)) return 0
  const db = new BetterSqlite3(path)
  try {
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
    const tables = db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'written'").pluck().get()
    return tables === 0 ? 0 : (db.prepare('SELECT count(*) FROM written').pluck().get() as number)
  } finally {
    db.close()
  }
}
