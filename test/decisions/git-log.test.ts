/** Logs of decisions in git (07 §3): the contract, and what git and its users do to a repository meanwhile. */
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DecisionDraft, decisionLogCases, encodeEvent, GitDecisionLog } from '@claudemesh/decisions'
import { createIdSource } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, git, openLog, readIntents } from './git-repository.ts'

const space = 'plans'
const branch = `refs/heads/spaces/${space}`

function set(key: string): DecisionDraft {
  return { kind: 'state', actor: 'tester', payload: { key, value: { of: key } } }
}

async function logWith(path: string, ...intents: readonly string[]): Promise<GitDecisionLog> {
  const log = await openLog(path)
  for (const intentId of intents) await log.append(space, [set(intentId)], { intentId })
  return log
}

function repositoryPath(): string {
  return join(scratchDirectory(), 'decisions.git')
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  describe(`the contract of logs of decisions (git, ${objectFormat})`, () => {
    for (const { name, run } of decisionLogCases) {
      test(name, async () => {
        const clock = { now: Date.now() }
        const path = join(scratchDirectory(), 'decisions.git')
        const reopen = async () => {
          const runtime = { now: () => clock.now, nextId: createIdSource(() => clock.now) }
          const log = await GitDecisionLog.open({ path, objectFormat, runtime })
          onTestFinished(() => log.close())
          return log
        }
        await run({ log: await reopen(), clock, reopen })
      })
    }
  })
}

describe('a space, for somebody with git alone', () => {
  test('is a branch with a commit for each decision', async () => {
    const path = repositoryPath()
    const log = await logWith(path, 'one', 'two')
    const note: DecisionDraft = { kind: 'note', actor: 'Ada L.', payload: { text: 'x', refs: [] } }
    const [event] = await log.append(space, [note], { intentId: 'three' })
    const { oid } = await log.head(space)
    expect(git(path, 'rev-parse', branch)).toBe(oid)
    expect(git(path, 'log', '--format=%s', branch).split('\n')).toEqual(['note x', 'state two', 'state one'])
    expect(git(path, 'show', `${branch}:event.json`)).toBe(event && encodeEvent(event).toString().trim())
    const trailers = git(path, 'log', '-1', '--format=%an%n%(trailers)', branch).split('\n')
    expect(trailers).toEqual([
      'Ada L.',
      `Space: ${space}`,
      'Seq: 3',
      `Event-Id: ${event?.event_id}`,
      'Intent-Id: three',
    ])
    const time = Math.floor(Date.parse(event?.ts ?? '') / 1000)
    expect(git(path, 'log', '-1', '--format=%at %ct', branch)).toBe(`${time} ${time}`)
    expect(fsck(path)).toBe('')
  })

  test('has the same object ids wherever the same decisions are', async () => {
    const log = await logWith(repositoryPath(), 'one', 'two')
    const other = await openLog(repositoryPath())
    expect(await other.importEvents(space, log.events(space))).toBe(2)
    expect(await other.head(space)).toEqual(await log.head(space))
  })

  test('is cloned, and the clone is a log of its own', async () => {
    const path = repositoryPath()
    const log = await logWith(path, 'one', 'two')
    const clone = join(scratchDirectory(), 'clone.git')
    git(path, 'clone', '--quiet', '--bare', path, clone)
    const other = await openLog(clone)
    expect(await readIntents(other, space)).toEqual(['one', 'two'])
    expect(await other.head(space)).toEqual(await log.head(space))
  })
})

describe('a repository that others use at the same time', () => {
  test('loses nothing to git gc --prune=now, and every clone in between is a sound prefix', async () => {
    const path = repositoryPath()
    const log = await logWith(path)
    const intents: string[] = []
    let collections = 0
    let isOver = false
    const collect = async () => {
      while (!isOver) {
        await run(path, 'gc', '--quiet', '--prune=now')
        const clone = join(scratchDirectory(), `clone-${collections}.git`)
        await run(path, 'clone', '--quiet', '--bare', '--no-local', path, clone)
        expect(fsck(clone)).toBe('')
        collections += 1
      }
    }
    const append = async () => {
      for (let round = 0; collections < 4 || round < 60; round += 1) {
        const batch = Array.from({ length: 1 + (round % 4) }, (_, place) => `${round}/${place}`)
        await Promise.all(batch.map((intentId) => log.append(space, [set(intentId)], { intentId })))
        intents.push(...batch)
      }
      isOver = true
    }
    await Promise.all([collect(), append()])
    expect([...(await readIntents(await openLog(path), space))].sort()).toEqual(intents.sort())
    expect(fsck(path)).toBe('')
    console.log(`${intents.length} appends beside ${collections} collections`)
  })

  test('another process that appends is seen at once, and its intents are known', async () => {
    const path = repositoryPath()
    const [one, two] = [await logWith(path), await logWith(path)]
    const first = await one.append(space, [set('a')], { intentId: 'a' })
    expect(await two.append(space, [set('a')], { intentId: 'a' })).toEqual(first)
    const both = [one, two].flatMap((log, place) =>
      Array.from({ length: 10 }, (_, n) => log.append(space, [set('b')], { intentId: `${place}/${n}` })),
    )
    await Promise.all(both)
    expect(await readIntents(two, space)).toEqual(await readIntents(one, space))
    expect((await one.head(space)).seq).toBe(21)
  })
})

describe('a log that is damaged', () => {
  const damages: readonly { readonly what: string; readonly damage: (path: string) => string }[] = [
    { what: 'an event that was changed', damage: (path) => rewriteSecond(path, (text) => text.replace('two', 'six')) },
    { what: 'a message that was changed', damage: (path) => rewriteSecond(path, (text) => text, 'another message') },
    { what: 'a file that is no event', damage: (path) => rewriteSecond(path, () => 'hello\n') },
    { what: 'an event that is lost', damage: (path) => loseObject(path, `${branch}~1:event.json`) },
  ]

  test.each(damages)(
    'by $what is log_corrupt with its commit, and what is before it can be read',
    async ({ damage }) => {
      const path = repositoryPath()
      await logWith(path, 'one', 'two', 'three')
      const commit = damage(path)
      rmSync(join(path, 'claudemesh'), { recursive: true })
      const log = await openLog(path)
      const read: string[] = []
      const reading = async () => {
        for await (const { intent_id: intentId } of log.events(space)) read.push(intentId)
      }
      await expect(reading()).rejects.toMatchObject({ code: 'log_corrupt', data: { space, seq: 2, commit } })
      expect(read).toEqual(['one'])
      await expect(log.append(space, [set('x')], { intentId: 'x' })).rejects.toMatchObject({ code: 'log_corrupt' })
      const first: string[] = []
      for await (const { intent_id: intentId } of log.events(space, { until: 1 })) first.push(intentId)
      expect(first).toEqual(['one'])
    },
  )

  test('can be read again when its objects are back', async () => {
    const path = repositoryPath()
    await logWith(path, 'one', 'two', 'three')
    const copy = join(scratchDirectory(), 'copy.git')
    git(path, 'clone', '--quiet', '--bare', '--no-local', path, copy)
    loseObject(path, `${branch}~1:event.json`)
    const log = await openLog(path)
    await expect(readIntents(log, space)).rejects.toMatchObject({ code: 'log_corrupt' })
    writeFileSync(join(path, 'objects', 'info', 'alternates'), `${join(copy, 'objects')}\n`)
    expect(await readIntents(await openLog(path), space)).toEqual(['one', 'two', 'three'])
  })
})

describe('a branch that was moved by hand', () => {
  test('is history_rewritten, for who has it open and who opens it, until somebody accepts it', async () => {
    const path = repositoryPath()
    const log = await logWith(path, 'one', 'two', 'three')
    const { oid } = await log.head(space)
    git(path, 'update-ref', branch, `${branch}~1`)
    for (const reader of [log, await openLog(path)]) {
      await expect(reader.head(space)).rejects.toMatchObject({ code: 'history_rewritten' })
      await expect(reader.append(space, [set('x')], { intentId: 'x' })).rejects.toMatchObject({
        code: 'history_rewritten',
        data: { seen_seq: 3, seen_commit: oid },
      })
    }
    await log.acceptHistory(space)
    expect(await readIntents(log, space)).toEqual(['one', 'two'])
    await (await openLog(path)).append(space, [set('x')], { intentId: 'x' })
    expect(await readIntents(log, space)).toEqual(['one', 'two', 'x'])
  })

  test('is history_rewritten when it is gone, and fine when it is put back', async () => {
    const path = repositoryPath()
    const log = await logWith(path, 'one', 'two')
    const oid = git(path, 'rev-parse', branch)
    git(path, 'update-ref', '-d', branch)
    for (const reader of [log, await openLog(path)]) {
      await expect(reader.head(space)).rejects.toMatchObject({ code: 'history_rewritten' })
    }
    git(path, 'update-ref', branch, oid)
    expect(await readIntents(log, space)).toEqual(['one', 'two'])
  })
})

function run(cwd: string, ...args: readonly string[]): Promise<void> {
  const child = spawn('git', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += String(chunk)
  })
  return new Promise((resolve, reject) => {
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`git ${args[0]}: ${said}`))))
  })
}

/** Puts another second commit into the place of the one there is. @returns its id */
function rewriteSecond(path: string, change: (text: string) => string, message?: string): string {
  const [root = '', second = '', third = ''] = git(path, 'rev-list', '--reverse', branch).split('\n')
  const text = `${change(git(path, 'show', `${second}:event.json`))}\n`
  const write = (args: readonly string[], input: string) =>
    spawnSync('git', args, { cwd: path, input, encoding: 'utf8' }).stdout.trim()
  const blob = write(['hash-object', '-w', '--stdin'], text)
  const tree = write(['mktree'], `100644 blob ${blob}\tevent.json\n`)
  const asItWas = git(path, 'cat-file', 'commit', second)
  const [head = '', body = ''] = [asItWas.slice(0, asItWas.indexOf('\n\n')), asItWas.slice(asItWas.indexOf('\n\n') + 2)]
  const commit = write(
    ['hash-object', '-t', 'commit', '-w', '--stdin'],
    `${head.replace(/^tree .*/, `tree ${tree}`)}\n\n${message ?? body}\n`,
  )
  const last = git(path, 'cat-file', 'commit', third).replace(`parent ${second}`, `parent ${commit}`)
  git(path, 'update-ref', branch, write(['hash-object', '-t', 'commit', '-w', '--stdin'], `${last}\n`))
  expect(git(path, 'rev-parse', `${commit}~1`)).toBe(root)
  return commit
}

/** Takes one object out of a repository. @returns the second commit */
function loseObject(path: string, name: string): string {
  const id = git(path, 'rev-parse', name)
  const packs = join(path, 'objects', 'pack')
  const aside = scratchDirectory()
  for (const file of readdirSync(packs)) renameSync(join(packs, file), join(aside, file))
  for (const file of readdirSync(aside).filter((each) => each.endsWith('.pack'))) {
    spawnSync('git', ['unpack-objects', '-q'], { cwd: path, input: readFileSync(join(aside, file)) })
  }
  rmSync(join(path, 'objects', id.slice(0, 2), id.slice(2)))
  return git(path, 'rev-parse', `${branch}~1`)
}
