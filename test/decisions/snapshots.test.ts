/**
 * What was known of a space when it was read before (07 §5, §8): it saves reading, and changes no answer, whatever becomes of its
 * files.
 */
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DecisionEvent, encodeSnapshot, fold, GitDecisionLog, openSpace } from '@claudemesh/decisions'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, git, openLog, readIntents } from './git-repository.ts'

const space = 'plans'
const length = 2_600
const idOf = (seq: number) => `01K0000000000000${String(seq).padStart(10, '0')}`

/** Of every kind that a line or a fold goes on from. */
function payloadOf(seq: number): Pick<DecisionEvent, 'kind' | 'payload'> {
  const name = `n${seq % 50}`
  const all = [
    { kind: 'state', payload: { key: name, value: seq } },
    { kind: 'overlay', payload: { target: name, patch: { [`m${seq % 7}`]: seq } } },
    { kind: 'binding', payload: { a: name, b: `n${(seq * 7) % 50}` } },
    { kind: 'unbinding', payload: { event_id: idOf(Math.abs(seq - 13)) } },
    { kind: 'alias', payload: { name: `a${seq}`, target: `a${seq - 6}` } },
    { kind: 'note', payload: { text: `note ${seq}`, refs: [] } },
  ] as const
  return all[seq % all.length] as Pick<DecisionEvent, 'kind' | 'payload'>
}

function eventAt(seq: number): DecisionEvent {
  const ts = new Date(Date.UTC(2026, 0, 1) + seq).toISOString()
  const place = { space, seq, event_id: idOf(seq), intent_id: `intent-${seq}`, ts, actor: 'ada' }
  return { ...place, ...payloadOf(seq) } as DecisionEvent
}

async function* events(from = 1, to = length): AsyncGenerator<DecisionEvent> {
  for (let seq = from; seq <= to; seq += 1) yield eventAt(seq)
}

const whole = Array.from({ length }, (_, index) => eventAt(index + 1))
const snapshotsOf = (path: string) => join(path, 'claudemesh', 'snapshots', space)
const files = (path: string) => readdirSync(snapshotsOf(path)).sort()

/** A repository whose log was read and folded once. */
async function makeKnownLog(path: string): Promise<void> {
  const log = await GitDecisionLog.open({ path })
  await log.importEvents(space, events(1, 1_300))
  await log.importEvents(space, events(1_301, length))
  await log.close()
  await state(path)
}

async function state(path: string): Promise<string> {
  const opened = await openSpace({ space, repository: path })
  try {
    return encodeSnapshot(await opened.state()).toString()
  } finally {
    await opened.close()
  }
}

/** What may not depend on what was known before. */
async function answers(log: GitDecisionLog) {
  const { kind, payload } = eventAt(1_000)
  const repeated = await log.append(space, [{ kind, actor: 'ada', payload } as DecisionEvent], {
    intentId: 'intent-1000',
  })
  const reused = log.append(space, [{ kind: 'note', actor: 'ada', payload: { text: 'x', refs: [] } }], {
    intentId: 'intent-7',
  })
  await expect(reused).rejects.toMatchObject({ code: 'intent_reused' })
  const cycle = { kind: 'alias', actor: 'ada', payload: { name: 'a4', target: 'a2596' } } as const
  await expect(log.append(space, [cycle], { intentId: 'cycle' })).rejects.toMatchObject({ code: 'alias_cycle' })
  const gone = { kind: 'unbinding', actor: 'ada', payload: { event_id: idOf(2) } } as const
  await expect(log.append(space, [gone], { intentId: 'gone' })).rejects.toMatchObject({ code: 'binding_unknown' })
  const known = eventAt(length + 1)
  const again = (async function* () {
    yield { ...known, event_id: idOf(5) }
  })()
  await expect(log.importEvents(space, again)).rejects.toMatchObject({ code: 'import_conflict' })
  expect(repeated).toEqual([eventAt(1_000)])
  expect((await log.head(space)).seq).toBe(length)
}

const place = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
const known = join(place, 'decisions.git')
beforeAll(() => makeKnownLog(known), 30_000)
afterAll(() => rmSync(place, { recursive: true }))

/** The same repository for a test that changes it. */
function copyOfKnown(): string {
  const path = join(scratchDirectory(), 'decisions.git')
  cpSync(known, path, { recursive: true })
  return path
}

test('what is known of a log is as the log, and is kept in few files', async () => {
  expect(await state(known)).toBe(encodeSnapshot(fold(whole)).toString())
  expect(files(known)).toEqual([`1-${length}`, 'state'])
  await answers(await openLog(known))
  expect(await readIntents(await openLog(known), space)).toEqual(whole.map(({ intent_id }) => intent_id))
})

test('a log that was read is opened, asked and appended to without what is before', async () => {
  const path = copyOfKnown()
  const packs = join(path, 'objects', 'pack')
  const first = git(path, 'rev-parse', `spaces/${space}~${length - 1}`)
  const aside = scratchDirectory()
  const holding = readdirSync(packs).filter((name) => name.endsWith('.idx'))
  for (const index of holding) {
    if (!git(path, 'verify-pack', '-v', join(packs, index)).includes(first)) continue
    for (const name of [index, index.replace('.idx', '.pack')]) renameSync(join(packs, name), join(aside, name))
  }
  expect(readdirSync(aside).length).toBe(2)
  const log = await openLog(path)
  expect((await log.head(space)).seq).toBe(length)
  expect(await state(path)).toBe(encodeSnapshot(fold(whole)).toString())
  const draft = { kind: 'state', actor: 'ada', payload: { key: 'after', value: true } } as const
  expect(await log.append(space, [draft], { intentId: 'after' })).toMatchObject([{ seq: length + 1 }])
  const opened = await openSpace({ space, repository: path })
  onTestFinished(() => opened.close())
  expect(await opened.get('after')).toBe(true)
  // Whoever reads what is gone is told of it.
  const reading = readIntents(await openLog(path), space)
  await expect(reading).rejects.toMatchObject({ code: 'log_corrupt', data: { seq: 1, commit: first } })
})

const damages: readonly { readonly what: string; readonly damage: (path: string) => void }[] = [
  { what: 'gone', damage: (path) => rmSync(path) },
  { what: 'empty', damage: (path) => truncateSync(path, 0) },
  { what: 'cut off', damage: (path) => truncateSync(path, readFileSync(path).length - 10) },
  ...[0.001, 0.2, 0.5, 0.9].map((place) => ({
    what: `flipped at ${place}`,
    damage: (path: string) => flip(path, place),
  })),
  {
    what: 'of another version',
    damage: (path) => writeFileSync(path, readFileSync(path, 'latin1').replace('"version":1', '"version":2'), 'latin1'),
  },
]

function flip(path: string, place: number): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length * place)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
  writeFileSync(path, bytes)
}

describe('files of what is known', () => {
  test.each(damages)('that are $what change no answer, and are made anew', async ({ damage }) => {
    const path = copyOfKnown()
    for (const name of files(path)) damage(join(snapshotsOf(path), name))
    await answers(await openLog(path))
    expect(await state(path)).toBe(encodeSnapshot(fold(whole)).toString())
    for (const name of files(path)) expect([name, read(path, name)]).toEqual([name, read(known, name)])
    expect(files(path)).toEqual(files(known))
  })

  test('that are removed while a process uses them change no answer', async () => {
    const path = copyOfKnown()
    const log = await openLog(path)
    expect((await log.head(space)).seq).toBe(length)
    rmSync(snapshotsOf(path), { recursive: true })
    await answers(log)
    const reader = await openLog(path)
    await reader.head(space)
    rmSync(snapshotsOf(path), { recursive: true, force: true })
    expect(await readIntents(reader, space)).toEqual(whole.map(({ intent_id }) => intent_id))
  })

  test('are of no use where the branch was moved', async () => {
    const path = copyOfKnown()
    git(path, 'update-ref', `refs/heads/spaces/${space}`, `spaces/${space}~100`)
    const log = await openLog(path)
    await expect(log.head(space)).rejects.toMatchObject({ code: 'history_rewritten' })
    await log.acceptHistory(space)
    expect((await log.head(space)).seq).toBe(length - 100)
    expect(await state(path)).toBe(encodeSnapshot(fold(whole.slice(0, length - 100))).toString())
    const { kind, payload } = eventAt(length)
    const drafts = [{ kind, actor: 'ada', payload } as DecisionEvent]
    expect(await log.append(space, drafts, { intentId: `intent-${length}` })).toMatchObject([{ seq: length - 99 }])
  })

  test('are kept as more is decided, by whichever process, and the state is told at any time', async () => {
    const path = join(scratchDirectory(), 'decisions.git')
    const log = await openLog(path)
    const opened = await openSpace({ space, repository: path })
    onTestFinished(() => opened.close())
    for (let to = 1_300; to <= 5_200; to += 1_300) {
      await (await openLog(path)).importEvents(space, events(to - 1_299, to))
      expect((await log.head(space)).seq).toBe(to)
      expect((await opened.state()).seq).toBe(to)
    }
    expect(files(path).length).toBeLessThanOrEqual(3)
    const all = Array.from({ length: 5_200 }, (_, index) => eventAt(index + 1))
    const last = await openSpace({ space, repository: path })
    onTestFinished(() => last.close())
    for (const seq of [5_200, 5_199, 1_025, 3]) {
      expect(encodeSnapshot(await last.stateAt(seq)).toString()).toBe(
        encodeSnapshot(fold(all.slice(0, seq))).toString(),
      )
    }
    const { kind, payload } = eventAt(1_400)
    const again = [{ kind, actor: 'ada', payload } as DecisionEvent]
    expect(await last.decide(again, { intentId: 'intent-1400' })).toEqual([eventAt(1_400)])
  }, 30_000)

  test.each(['atomic_file.before_rename', 'decisions.snapshot.written'])(
    'that a process killed at %s has left are as good as none',
    async (step) => {
      const path = copyOfKnown()
      await (await openLog(path)).importEvents(space, events(length + 1, 5_200))
      const run = ['decisions/children/append-events.mjs', [path, space, 'a', '1', '1']] as const
      const child = startChild(...run, { environment: { CLAUDEMESH_CRASH_AT: step } })
      expect(await child.exited).toMatchObject({ signal: 'SIGKILL', stderr: '' })
      expect(await startChild(...run).exited).toMatchObject({ code: 0, stderr: '' })
      expect(await readIntents(await openLog(path), space)).toEqual([
        ...Array.from({ length: 5_200 }, (_, index) => `intent-${index + 1}`),
        'a/0/0',
      ])
      expect(fsck(path)).toBe('')
    },
  )

  test('that cannot be written are as good as none', async () => {
    const path = copyOfKnown()
    const parent = join(path, 'claudemesh', 'snapshots')
    rmSync(parent, { recursive: true })
    writeFileSync(parent, '')
    await answers(await openLog(path))
    expect(await state(path)).toBe(encodeSnapshot(fold(whole)).toString())
  })
})

function read(path: string, name: string): string {
  return readFileSync(join(snapshotsOf(path), name)).toString('base64')
}
