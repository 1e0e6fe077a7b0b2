/** Copies of spaces in other repositories, what is looked for in a repository, and what is packed in it (07 §3, §4, §7). */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type DecisionDraft, type Elsewhere, type GitDecisionLog, SharedDecisionLog } from '@claudemesh/decisions'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, git, openLog, readIntents } from './git-repository.ts'

const space = 'plans'
const draft: DecisionDraft = { kind: 'note', actor: 'tester', payload: { text: 'decided', refs: [] } }

async function decide(log: GitDecisionLog, ...intents: readonly string[]): Promise<void> {
  for (const intentId of intents) await log.append(space, [draft], { intentId })
}

function newPath(): string {
  return join(scratchDirectory(), 'decisions.git')
}

describe('a remote', () => {
  test('takes what is pushed, and gives it to whoever pulls; again it changes nothing', async () => {
    const [here, there, elsewhere] = [newPath(), newPath(), newPath()]
    const log = await openLog(here)
    await decide(log, 'one', 'two')
    await log.append('other', [draft], { intentId: 'one' })
    const other = await openLog(there)
    expect(await log.push(there)).toEqual([
      { space: 'other', outcome: 'pushed' },
      { space, outcome: 'pushed' },
    ])
    expect((await log.push(there)).map(({ outcome }) => outcome)).toEqual(['unchanged', 'unchanged'])
    expect(await readIntents(other, space)).toEqual(['one', 'two'])
    await decide(other, 'three')
    const third = await openLog(elsewhere)
    expect(await third.pull(there)).toEqual([
      { space: 'other', outcome: 'pulled', events: 1 },
      { space, outcome: 'pulled', events: 3 },
    ])
    expect((await log.pull(there)).map(({ outcome, events }) => [outcome, events])).toEqual([
      ['unchanged', 0],
      ['pulled', 1],
    ])
    expect((await log.pull(there)).map(({ outcome }) => outcome)).toEqual(['unchanged', 'unchanged'])
    expect(await log.head(space)).toEqual(await third.head(space))
    await decide(log, 'four')
    expect(
      (await log.pull(there)).map(({ outcome }) => outcome),
      'what is behind is no news',
    ).toEqual(['unchanged', 'unchanged'])
    expect(await readIntents(log, space)).toEqual(['one', 'two', 'three', 'four'])
    for (const path of [here, there, elsewhere]) expect(fsck(path)).toBe('')
  })

  test('that decided something else meanwhile is left as it is, and so is what is here', async () => {
    const [here, there] = [newPath(), newPath()]
    const [log, other] = [await openLog(here), await openLog(there)]
    await decide(log, 'one')
    await log.push(there)
    await decide(log, 'two')
    await decide(other, 'zwei')
    expect(await log.push(there)).toEqual([{ space, outcome: 'rejected' }])
    expect(await log.pull(there)).toEqual([{ space, outcome: 'diverged', events: 0 }])
    expect(await readIntents(log, space)).toEqual(['one', 'two'])
    expect(await readIntents(other, space)).toEqual(['one', 'zwei'])
    await decide(log, 'three')
  })

  test('whose decisions are not what they say is not pulled', async () => {
    const [here, there] = [newPath(), newPath()]
    const [log, other] = [await openLog(here), await openLog(there)]
    await decide(other, 'one')
    git(
      there,
      '-c',
      'user.name=a',
      '-c',
      'user.email=b',
      'update-ref',
      'refs/heads/spaces/another',
      `refs/heads/spaces/${space}`,
    )
    await expect(log.pull(there)).rejects.toMatchObject({ code: 'log_corrupt', data: { space: 'another', seq: 1 } })
    expect(await log.spaces()).toEqual([])
  })

  test('that is not there is remote_failed, and one that is an option of git is refused', async () => {
    const here = newPath()
    const log = await openLog(here)
    await decide(log, 'one')
    const none = join(scratchDirectory(), 'none')
    await expect(log.push(none)).rejects.toMatchObject({ code: 'remote_failed' })
    await expect(log.pull(none)).rejects.toMatchObject({ code: 'remote_failed' })
    for (const address of ['--upload-pack=touch', 'ext::touch', '../elsewhere', 'nobody']) {
      await expect(log.push(address)).rejects.toMatchObject({ code: 'invalid_request' })
    }
    git(here, 'remote', 'add', 'backup', newPath())
    await expect(log.push('backup')).rejects.toMatchObject({ code: 'remote_failed' })
  })

  test('is pulled from by who holds the lease, and by nobody else', async () => {
    const [here, there] = [newPath(), newPath()]
    const other = await openLog(there)
    await decide(other, 'one')
    const shared = await SharedDecisionLog.open({ path: here, holder: 'one' })
    onTestFinished(() => shared.close())
    await shared.pull(there)
    await shared.append(space, [draft], { intentId: 'two' })
    await shared.log.push(there)
    await decide(other, 'three')
    await expect((await openLog(here)).pull(there)).rejects.toMatchObject({ code: 'lease_held' })
    expect(await shared.pull(there)).toEqual([{ space, outcome: 'pulled', events: 1 }])
    expect(await readIntents(shared.log, space)).toEqual(['one', 'two', 'three'])
  })
})

test('a space that is decided elsewhere is left as it is by a pull, and the others are pulled', async () => {
  const [here, there] = [newPath(), newPath()]
  const other = await openLog(there)
  await decide(other, 'one')
  await other.append('mine', [draft], { intentId: 'one' })
  const elsewhere: Elsewhere = { has: (name) => name === space, append: () => Promise.reject(new Error('not asked')) }
  const shared = await SharedDecisionLog.open({ path: here, holder: 'one', elsewhere })
  onTestFinished(() => shared.close())
  // As whoever follows a shared space does.
  await shared.acquire(space, { keep: true })
  expect(await shared.pull(there)).toEqual([
    { space: 'mine', outcome: 'pulled', events: 1 },
    { space, outcome: 'shared', events: 0 },
  ])
  expect(await shared.spaces()).toEqual(['mine'])
})

describe('a plain clone', () => {
  test('shows the last decision, and the log of them', async () => {
    const path = newPath()
    await decide(await openLog(path), 'one', 'two')
    const clone = join(scratchDirectory(), 'clone')
    git(path, 'clone', '--quiet', path, clone)
    expect(readdirSync(clone)).toContain('event.json')
    expect(git(clone, 'log', '--format=%s').split('\n')).toEqual(['note decided', 'note decided'])
    expect(await readIntents(await openLog(clone), space)).toEqual(['one', 'two'])
  })
})

describe('fsck', () => {
  test('finds nothing in a sound repository, and in a damaged one what git and what the log finds', async () => {
    const path = newPath()
    const log = await openLog(path)
    await decide(log, 'one', 'two')
    const { oid } = await log.head(space)
    expect(await log.fsck()).toEqual({ problems: [], spaces: [{ space, seq: 2, head: oid, damage: null }] })
    git(path, 'update-ref', 'refs/heads/spaces/copy', `refs/heads/spaces/${space}~1`)
    git(path, 'update-ref', `refs/heads/spaces/${space}`, `refs/heads/spaces/${space}~1`)
    const report = await log.fsck()
    expect(report.problems).toEqual([])
    expect(report.spaces.map((each) => [each.space, each.seq, each.damage?.code])).toEqual([
      ['copy', 0, 'log_corrupt'],
      [space, 0, 'history_rewritten'],
    ])
    git(path, 'repack', '-adq')
    for (const name of readdirSync(join(path, 'objects', 'pack'))) rmSync(join(path, 'objects', 'pack', name))
    mkdirSync(join(path, 'objects', 'pack'), { recursive: true })
    expect((await log.fsck()).problems.join('\n')).toMatch(/missing|invalid/)
  })
})

describe('many packs', () => {
  test('are packed together while appends go on, and nothing is lost', async () => {
    const path = newPath()
    const log = await openLog(path)
    const intents = Array.from({ length: 140 }, (_, n) => `i/${n}`)
    await decide(log, ...intents)
    const packs = () => readdirSync(join(path, 'objects', 'pack')).filter((name) => name.endsWith('.pack')).length
    await eventually('the packs are few', () => packs() <= 60)
    expect(await readIntents(await openLog(path), space)).toEqual(intents)
    expect(fsck(path)).toBe('')
  })
})
