/** Each verb of `claudemesh decision` over a real daemon: what it does, its JSON, and how it fails. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type {
  ImportedDecisions,
  LeaseAnswer,
  PulledSpaces,
  PushedSpaces,
  RecordedDecision,
  RepositoryReport,
  SpaceReasons,
  SpaceState,
  SpaceView,
} from '@claudemesh/protocol/spaces'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { git } from '../decisions/git-repository.ts'
import { eventually } from '../support/eventually.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { CommandLine, killIfThere } from './command-line.ts'

const line = new CommandLine(afterAll)

beforeAll(() => {
  line.json(['init', '--name', 'alice', '--broker', 'ws://127.0.0.1:9'])
  const { pid } = line.json<{ pid: number }>(['daemon', 'start'])
  return () => killIfThere(pid)
}, 60_000)

function decision<Answer>(...args: readonly string[]): Answer {
  return line.json<Answer>(['decision', ...args])
}

function append(...args: readonly string[]): RecordedDecision {
  const { events } = decision<{ events: RecordedDecision[] }>('append', ...args)
  const [event] = events
  if (event === undefined || events.length > 1) throw new Error('one decision was made')
  return event
}

/** What people see. */
function shown(...args: readonly string[]): string {
  const { status, stdout, stderr } = line.run(['decision', ...args])
  if (status !== 0) throw new Error(`claudemesh decision ${args.join(' ')} ended with ${status}: ${stderr}`)
  return stdout
}

test('what was decided in words is asked for in words', () => {
  expect(decision<SpaceView>('create', 'plans')).toMatchObject({ space: 'plans', seq: 0 })
  expect(shown('append', 'plans', 'state', 'database', 'sqlite')).toMatch(/^ +1 {2}.* state database = sqlite\n$/)
  append('plans', 'state', 'database', 'postgres', '--sign')
  append('plans', 'alias', 'db', 'database')
  append('plans', 'note', 'one file was not enough', '--ref', 'database')
  expect(shown('why', 'plans', 'db')).toMatch(
    /^database = postgres\n +1 .* database = sqlite\n +2 .* database = postgres \[verified\]\n +3 .* db -> database\n$/,
  )
  expect(shown('state', 'plans')).toMatch(/^after 4 decisions\nvalues:\n {2}database = postgres {2}\(2\)\naliases:\n/)
  expect(decision<SpaceState>('state', 'plans', '--at', '1').state).toMatchObject({ database: { value: 'sqlite' } })
  expect(shown('log', 'plans', '--limit', '2').split('\n')).toHaveLength(3)
  expect(shown('log', 'plans', '--after', '3')).toMatch(/note one file was not enough/)
  expect(shown('show', 'plans', '4')).toContain('"text": "one file was not enough"')
  expect(shown('show', 'plans')).toMatch(/decisions +4\n/)
  expect(shown('list')).toMatch(/^SPACE +DECISIONS +HEAD +APPENDS\nplans +4 +[0-9a-f]{12} +this daemon\n$/)
  expect(decision<SpaceReasons>('why', 'plans', 'nothing')).toEqual({ key: 'nothing', decisions: [] })
})

describe('append', () => {
  beforeAll(() => void decision('create', 'kinds'))

  test.each([
    [['state', 'retries', '3', '--json-value'], { key: 'retries', value: 3 }],
    [['state', 'retries', '--remove'], { key: 'retries', value: null }],
    [['binding', 'a', 'b', '--relation', 'renamed'], { a: 'a', b: 'b', relation: 'renamed' }],
    [['overlay', 'config', 'ours'], { target: 'config', text: 'ours' }],
    [['overlay', 'config', '--patch', '{"a":1}'], { target: 'config', patch: { a: 1 } }],
    [['merge', 'main', 'x', 'y', '--strategy', 'by hand'], { into: 'main', from: ['x', 'y'], strategy: 'by hand' }],
    [['fork', 'plans', '4', '--reason', 'a try'], { from_space: 'plans', from_seq: 4, reason: 'a try' }],
  ])('%j', (words, payload) => {
    expect(append('kinds', ...words)).toMatchObject({ kind: words[0], payload })
  })

  test('takes any decisions as JSON, all or none', () => {
    const drafts = ['a', 'b'].map((text) => JSON.stringify({ kind: 'note', payload: { text, refs: [] } }))
    for (const input of [drafts.join('\n'), `[${drafts.join(',')}]`]) {
      const { events } = line.json<{ events: RecordedDecision[] }>(
        ['decision', 'append', 'kinds', '--json-draft', '-'],
        { input },
      )
      expect(events.map(({ payload }) => payload)).toMatchObject([{ text: 'a' }, { text: 'b' }])
    }
    const input = `${drafts[0]}\n{"kind":"note","payload":{}}`
    expect(line.problem(['decision', 'append', 'kinds', '--json-draft', '-'], { input })).toMatchObject({
      code: 'invalid_decision',
      exitCode: 65,
    })
  })

  test('is the same decision for the same intent, and none when the head has moved', () => {
    const once = append('kinds', 'note', 'once', '--intent', 'i1')
    expect(append('kinds', 'note', 'once', '--intent', 'i1')).toEqual(once)
    expect(line.problem(['decision', 'append', 'kinds', 'note', 'late', '--expect-head', '1'])).toMatchObject({
      code: 'head_moved',
      exitCode: 75,
    })
  })

  test.each([
    [['append', 'kinds'], 'invalid_usage', 64],
    [['append', 'kinds', 'guess', 'x'], 'invalid_usage', 64],
    [['append', 'kinds', 'state', 'only-a-key'], 'invalid_usage', 64],
    [['append', 'kinds', 'alias', 'one'], 'invalid_usage', 64],
    [['append', 'kinds', 'state', 'k', '{', '--json-value'], 'invalid_usage', 64],
    [['append', 'kinds', 'unbinding', 'nothing'], 'invalid_decision', 65],
    [['append', 'nowhere', 'note', 'x'], 'space_unknown', 66],
    [['create', 'Not A Name'], 'invalid_request', 65],
  ])('%j is refused', (args, code, exitCode) => {
    expect(line.problem(['decision', ...args])).toMatchObject({ code, exitCode })
  })
})

test('who watches sees what is decided from then on', async () => {
  decision('create', 'watched')
  append('watched', 'note', 'before')
  const watching = line.follow(['decision', 'watch', 'watched'])
  await eventually('it watches', async () => {
    append('watched', 'note', 'after')
    return watching.items.length > 0
  })
  expect(watching.items[0]).toMatchObject({ kind: 'note', payload: { text: 'after' } })
})

test('the lease is shown, given up, taken, and taken over', () => {
  decision('create', 'leased')
  append('leased', 'note', 'x')
  expect(decision<LeaseAnswer>('lease', 'leased').lease).toMatchObject({ epoch: 1, is_own: true })
  expect(decision<LeaseAnswer>('lease', 'leased', '--release').lease).toMatchObject({ is_held: false })
  expect(decision<LeaseAnswer>('lease', 'leased', '--acquire').lease).toMatchObject({ epoch: 2, is_own: true })
  expect(shown('lease', 'leased', '--force')).toMatch(/lease +3\n/)
})

test('a log is moved as lines, and the repository to another one', () => {
  decision('create', 'moved')
  append('moved', 'note', 'x')
  const path = join(scratchDirectory(), 'moved.ndjson')
  shown('export', 'moved', '-o', path)
  expect(readFileSync(path, 'utf8')).toBe(shown('export', 'moved'))
  expect(decision<ImportedDecisions>('import', 'moved', path)).toEqual({ appended: 0, present: 1 })
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('moved', 'taken'))
  expect(shown('import', 'taken', path)).toBe('1 decision taken, 0 decisions there before\n')

  const remote = scratchDirectory()
  git(remote, 'init', '--bare', '--quiet')
  const { spaces } = decision<PushedSpaces>('push', remote)
  expect(new Set(spaces.map(({ outcome }) => outcome))).toEqual(new Set(['pushed']))
  expect(decision<PulledSpaces>('pull', remote).spaces).toContainEqual({
    space: 'moved',
    outcome: 'unchanged',
    events: 0,
  })
  expect(decision<RepositoryReport>('fsck').problems).toEqual([])
  expect(line.problem(['decision', 'push', 'ext::sh'])).toMatchObject({ code: 'invalid_request' })
})
