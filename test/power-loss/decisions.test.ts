/**
 * Cuts of the power under processes that append decisions (07 §3, §8): every acknowledged one is there, and git finds the
 * repository sound. A name is taken to be durable after an fsync of its directory and nothing less.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { GitDecisionLog } from '@claudemesh/decisions'
import { describe, expect, test } from 'vitest'
import { fsck, openLog, readIntents } from '../decisions/git-repository.ts'
import { bundledChild } from '../support/child.ts'
import { Recording, whyNotRecordable } from '../support/powerloss/recorder.ts'
import { sweep } from '../support/powerloss/sweep.ts'
import type { Trace } from '../support/powerloss/trace.ts'
import { memoryDirectory, scratchDirectory } from '../support/scratch-directory.ts'
import { seeded } from '../support/seed.ts'

const random = seeded()
const space = 'plans'
const repository = 'decisions.git'

interface Recorded {
  readonly trace: Trace
  /** When each intent was acknowledged. */
  readonly acknowledged: ReadonlyMap<string, bigint>
}

/** What runs below a directory whose changes are recorded. */
class Place {
  readonly acknowledged = new Map<string, bigint>()
  readonly path: string
  readonly #recording: Recording

  constructor(recording: Recording, directory: string) {
    this.#recording = recording
    this.path = join(directory, repository)
  }

  /** Runs a program to its end. @returns how it ended */
  async run(program: string, args: readonly string[], crashAt = ''): Promise<number | NodeJS.Signals | null> {
    const [launch = '', ...rest] = [...this.#recording.launcher, process.execPath, bundledChild(program), ...args]
    const env = { ...process.env, CLAUDEMESH_CRASH_AT: crashAt }
    const child = spawn(launch, rest, { env, stdio: ['pipe', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += String(chunk)
      // Nobody waits for the others here.
      if (output.includes('appended\n') && child.stdin.writable) child.stdin.end('\n')
    })
    const ending = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(code ?? signal))
    })
    for (const [, intent = '', time = ''] of output.matchAll(/^(\S+\/\S+) (\d+)$/gm)) {
      this.acknowledged.set(intent, BigInt(time))
    }
    return ending
  }
}

async function record(act: (place: Place) => Promise<void>): Promise<Recorded> {
  const scratch = scratchDirectory()
  const directory = join(scratch, 'recorded')
  mkdirSync(directory, { mode: 0o700 })
  const recording = await Recording.start({ directory, trace: join(scratch, 'trace') })
  const place = new Place(recording, directory)
  await act(place)
  return { trace: await recording.end(), acknowledged: place.acknowledged }
}

/** The power was off: whatever is on the disk is older than the system that finds it. */
function makeLocksOld(path: string): void {
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.lock')) utimesSync(join(path, name), 0, 0)
  }
}

/** What is wrong with a repository after a cut; then it must take what is decided next. */
async function look(path: string, expected: readonly string[]): Promise<readonly string[]> {
  if (!existsSync(path)) return expected.map((intent) => `${intent}: there is no repository`)
  makeLocksOld(path)
  const unsound = fsck(path)
  if (unsound !== '') return [`git fsck: ${unsound}`]
  const log = await GitDecisionLog.open({ path })
  try {
    const intents = await readIntents(log, space)
    const lost = expected.filter((intent) => !intents.includes(intent)).map((intent) => `${intent} is not there`)
    const twice = intents.length === new Set(intents).size ? [] : ['an intent is there twice']
    await log.append('after', [{ kind: 'note', actor: 'after', payload: { text: 'after', refs: [] } }], {
      intentId: 'after',
    })
    const after = fsck(path)
    return [...lost, ...twice, ...(after === '' ? [] : [`git fsck after an append: ${after}`])]
  } finally {
    log.close()
  }
}

describe.skipIf(whyNotRecordable() !== null)(`a cut of the power under appends (seed ${random.seed})`, () => {
  test('loses no decision that was acknowledged, and leaves a repository that is sound', async () => {
    const { trace, acknowledged } = await record(async (place) => {
      const appends = (prefix: string) => [place.path, space, prefix, '6', '4']
      const killed = await place.run('decisions/children/append-events.mjs', appends('a'), 'decisions.ref.renamed:4')
      expect(killed).toBe('SIGKILL')
      // The same intents again: some are there, and of one nobody knew.
      expect(await place.run('decisions/children/append-events.mjs', appends('a'))).toBe(0)
      const shared = ['p0', 'p1'].map((name) => [place.path, space, name, '12', '500'])
      const endings = await Promise.all(shared.map((args) => place.run('decisions/children/shared-appends.mjs', args)))
      expect(endings).toEqual([0, 0])
    })
    const { images, violations } = await sweep({
      trace,
      seed: random.seed,
      out: join(memoryDirectory(), 'image'),
      look: ({ directory, before }) => {
        const expected = [...acknowledged].filter(([, at]) => at < before).map(([intent]) => intent)
        return look(join(directory, repository), expected)
      },
    })
    console.log(
      `power cuts under appends of decisions: ${trace.points} points, ${images} images, ${acknowledged.size} ` +
        `acknowledged, ${violations.length} violations, seed ${random.seed}`,
    )
    expect(violations).toEqual([])
    expect(acknowledged.size).toBe(48)
  }, 3_600_000)
})

describe.skipIf(whyNotRecordable() !== null)('a crash between the log and the lease of one change', () => {
  test('leaves the note of a lease that was not granted, and taking it over again notes it once', async () => {
    const { trace } = await record(async (place) => {
      expect(await place.run('decisions/children/seize-lease.mjs', [place.path, space])).toBe(0)
    })
    const renames = trace.records.flatMap(({ op, otherName }, index) =>
      op === 'rename' && otherName === space ? [index] : [],
    )
    const [log = 0, lease = 0] = renames.slice(-2)
    const path = join(memoryDirectory(), 'image', repository)
    // After the first of the two, as a kill leaves it.
    trace.cut(log + 1, { mode: 'keep', seed: 1, out: join(path, '..') })
    expect(lease).toBeGreaterThan(log)
    makeLocksOld(path)
    expect(fsck(path)).toBe('')
    const found = await openLog(path)
    expect(await readIntents(found, space)).toEqual(['a', 'lease/2/two'])
    expect((await found.leases.read(space))?.record).toMatchObject({ holder: 'one', epoch: 1 })
    await found.seizeLease(space, 'operator', { holder: 'two', socket: null, termMs: 10_000 })
    expect((await found.leases.read(space))?.record).toMatchObject({ holder: 'two', epoch: 2 })
    expect(await readIntents(found, space)).toEqual(['a', 'lease/2/two'])
  }, 120_000)
})
