/** Repositories of decisions whose files are damaged, one of each kind (03 §5): what comes back is what can be read, as it was. */
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type DecisionDraft,
  type DecisionEvent,
  findRepositoryFaults,
  GitDecisionLog,
  type SalvagedSpace,
  salvageRepository,
} from '@claudemesh/decisions'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recoverHome } from '../../apps/daemon/src/operate/recover/recover.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { startDaemon } from '../support/daemon-in-process.ts'
import { foundHome } from '../support/home.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, git, openLog } from './git-repository.ts'

const space = 'plans'
const length = 8
const place = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
const sound = join(place, 'decisions.git')
let heads: readonly string[] = []
/** What is in the pack of each index. */
const indexes = new Map<string, string>()

function note(text: string): DecisionDraft {
  return { kind: 'note', actor: 'ada', payload: { text, refs: [] } }
}

beforeAll(async () => {
  const log = await GitDecisionLog.open({ path: sound })
  for (let n = 1; n <= length; n += 1) {
    const draft = note(`note ${n} ${'x'.repeat(100)}`)
    await log.append(space, [draft], { intentId: `intent-${n}` })
  }
  const held = await log.leases.acquire('empty', { holder: 'one', socket: null, termMs: 1_000 })
  const lease = await log.leases.acquire('shared', { holder: 'one', socket: null, termMs: 60_000 })
  // What was proposed and has no answer is in no log.
  for (const intentId of ['one', 'two']) {
    const append = { drafts: [note('proposed')], o: { intentId } }
    const { proposal } = await log.proposals.propose('shared', [append], { lease, bytesMax: 10_000 })
    if (proposal !== null && intentId === 'one') await log.proposals.accept(proposal, lease)
  }
  await log.leases.release(held)
  await log.close()
  heads = git(sound, 'rev-list', '--reverse', `spaces/${space}`).split('\n')
  const packs = join(sound, 'objects', 'pack')
  for (const name of readdirSync(packs).filter((each) => each.endsWith('.idx'))) {
    indexes.set(name, git(sound, 'verify-pack', '-v', join(packs, name)))
  }
}, 30_000)
afterAll(() => rmSync(place, { recursive: true }))

/** The pack and its index that a decision is in, without an ending. */
function packOf(path: string, seq: number): string {
  const commit = heads[seq - 1] ?? ''
  const [index = ''] = [...indexes].find(([, objects]) => objects.includes(commit)) ?? []
  return join(path, 'objects', 'pack', index.replace('.idx', ''))
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
  rmSync(path, { force: true })
  writeFileSync(path, bytes)
}

const all = { seq: length, apart: [] as readonly number[] }
const without = (seq: number) => ({
  seq: seq - 1,
  apart: Array.from({ length: length - seq }, (_, index) => seq + 1 + index),
})

interface Damage {
  readonly what: string
  readonly damage: (path: string) => void
  /** What is left. */
  readonly left: { readonly seq: number; readonly apart: readonly number[] }
}

const ref = (path: string) => join(path, 'refs', 'heads', 'spaces', space)
const damages: readonly Damage[] = [
  { what: 'HEAD is gone', damage: (path) => rmSync(join(path, 'HEAD')), left: all },
  { what: 'HEAD is empty', damage: (path) => truncateSync(join(path, 'HEAD'), 0), left: all },
  { what: 'the configuration is flipped', damage: (path) => flip(join(path, 'config'), 0), left: all },
  { what: 'a branch is gone', damage: (path) => rmSync(ref(path)), left: all },
  { what: 'a branch is cut off', damage: (path) => truncateSync(ref(path), 20), left: all },
  { what: 'a branch is flipped', damage: (path) => flip(ref(path), 3), left: all },
  {
    what: 'a lease is flipped',
    damage: (path) => flip(join(path, 'refs/claudemesh/leases', 'empty'), 3),
    left: all,
  },
  { what: 'packed refs are cut off', damage: packAndCutRefs, left: all },
  { what: 'an index is gone', damage: (path) => rmSync(`${packOf(path, 5)}.idx`), left: all },
  { what: 'an index is flipped', damage: (path) => flip(`${packOf(path, 5)}.idx`, 1_060), left: all },
  { what: 'the last pack is gone', damage: (path) => rmSync(`${packOf(path, length)}.pack`), left: without(length) },
  { what: 'a pack is gone', damage: (path) => rmSync(`${packOf(path, 5)}.pack`), left: without(5) },
  {
    what: 'a decision is flipped',
    damage: (path) => flipIn(`${packOf(path, 5)}.pack`, '"text":"note 5'),
    left: without(5),
  },
  { what: 'a commit is flipped', damage: (path) => flipIn(`${packOf(path, 5)}.pack`, 'Event-Id'), left: all },
  {
    what: 'the first pack is cut off',
    damage: (path) => truncateSync(`${packOf(path, 1)}.pack`, 40),
    left: without(1),
  },
]

function packAndCutRefs(path: string): void {
  git(path, 'pack-refs', '--all')
  const packed = join(path, 'packed-refs')
  truncateSync(packed, readFileSync(packed).length - 60)
}

function flipIn(path: string, text: string): void {
  const at = readFileSync(path).indexOf(text) + text.length - 1
  expect(at, text).toBeGreaterThan(text.length)
  flip(path, at)
}

function digestOf(directory: string): string {
  const digest = createHash('sha256')
  for (const name of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (name.isFile()) digest.update(name.name).update(readFileSync(join(name.parentPath, name.name)))
  }
  return digest.digest('hex')
}

async function read(log: GitDecisionLog): Promise<readonly DecisionEvent[]> {
  const events: DecisionEvent[] = []
  for await (const event of log.events(space)) events.push(event)
  return events
}

test('of a sound repository nothing is said, and everything is salvaged but what was only proposed', async () => {
  const to = join(scratchDirectory(), 'salvaged.git')
  expect(await findRepositoryFaults(sound)).toEqual([])
  expect(await salvageRepository({ from: sound, to })).toEqual<readonly SalvagedSpace[]>([
    { space, seq: length, apart: [], isCut: false },
    { space: 'shared', seq: 1, apart: [], isCut: false },
    { space: 'empty', seq: 0, apart: [], isCut: false },
  ])
  expect(git(to, 'rev-parse', `spaces/${space}`)).toBe(heads.at(-1))
  expect((await (await openLog(to)).leases.read('empty'))?.record.released).toBe(true)
})

describe('a repository of which', () => {
  test.each(damages)('$what', async ({ damage, left }) => {
    const from = join(scratchDirectory(), 'decisions.git')
    cpSync(sound, from, { recursive: true })
    damage(from)
    const before = digestOf(from)
    expect((await findRepositoryFaults(from)).length, 'it is told').toBeGreaterThan(0)
    const to = join(scratchDirectory(), 'salvaged.git')
    const [salvaged] = await salvageRepository({ from, to })
    expect(salvaged).toMatchObject({ space, seq: left.seq, isCut: left.seq < length })
    expect(salvaged?.apart.map(({ seq }) => seq)).toEqual(left.apart)
    expect(digestOf(from), 'it is only read').toBe(before)
    expect(fsck(to)).toBe('')
    if (left.seq > 0) {
      expect(git(to, 'rev-parse', `spaces/${space}`)).toBe(heads[left.seq - 1])
      expect(await read(await openLog(to))).toEqual((await read(await openLog(sound))).slice(0, left.seq))
    }
    expect(readdirSync(join(to, '..'))).toEqual(['salvaged.git'])
  })
})

test('recover looks at the repository of a daemon, and brings it back when it is told to', async () => {
  const running = await startDaemon(foundHome())
  const { home, slug, paths } = running.host
  await running.post('/v1/spaces', { space })
  for (const text of ['one', 'two', 'three']) {
    const decisions = [{ kind: 'note', payload: { text, refs: [] } }]
    expect((await running.post(`/v1/spaces/${space}/events`, { decisions })).status).toBe(201)
  }
  await running.close()
  const commits = git(paths.spacesRepository, 'rev-list', '--reverse', `spaces/${space}`).split('\n')
  const packs = join(paths.spacesRepository, 'objects', 'pack')
  for (const name of readdirSync(packs).filter((each) => each.endsWith('.pack'))) {
    if (readFileSync(join(packs, name)).includes('"text":"two"')) flipIn(join(packs, name), '"text":"two"')
  }
  const before = digestOf(paths.spacesRepository)
  const recover = async (confirm: boolean) => {
    const { stores } = await recoverHome({ home, slug, confirm, runtime: systemRuntime() })
    return stores.find(({ store }) => store === 'spaces')
  }
  expect(await recover(false)).toMatchObject({ state: 'damaged', moved_to: null })
  expect(digestOf(paths.spacesRepository)).toBe(before)
  const done = await recover(true)
  expect(done?.notes).toEqual([
    `${space} ends at decision 1 now: the next one cannot be read`,
    expect.stringMatching(/^1 later decisions of plans can be read: .*decisions-plans-\w+\.jsonl$/),
  ])
  const [, apart = ''] = done?.notes.at(-1)?.split(': ') ?? []
  expect(readFileSync(apart, 'utf8')).toContain('"text":"three"')
  expect(digestOf(done?.moved_to ?? ''), 'nothing is deleted').toBe(before)
  expect(await recover(true)).toMatchObject({ state: 'sound' })
  const again = await startDaemon(running.host)
  expect((await again.get(`/v1/spaces/${space}`)).json).toMatchObject({ seq: 1, head: commits[0], damage: null })
})
