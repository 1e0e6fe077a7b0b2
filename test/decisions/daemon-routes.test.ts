/** `/v1/spaces`, `/v1/decisions` of a daemon: what the routes add to the log, over a real socket and a real git. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DecisionDraft, Health } from '@claudemesh/protocol'
import type {
  DecisionList,
  LeaseAnswer,
  PulledSpaces,
  RecordedDecision,
  RepositoryReport,
  SpaceList,
  SpaceReasons,
  SpaceState,
  SpaceView,
} from '@claudemesh/protocol/spaces'
import { describe, expect, test } from 'vitest'
import { type RunningDaemon, startDaemon } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome } from '../support/home.ts'
import { followLog } from '../support/numbered-log.ts'
import { revokeSelf } from '../support/revoke-self.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { fsck, git, openLog } from './git-repository.ts'

const set = (key: string, value: unknown) => ({ kind: 'state', payload: { key, value } })
const key = (name: string) => ({ 'idempotency-key': name })

/** One space of a daemon, as a program uses it. */
function spaceOf(running: RunningDaemon, name = 'plans') {
  const path = `/v1/spaces/${name}`
  const decide = (decisions: unknown, over = {}, headers = {}) =>
    running.post(`${path}/events`, { decisions, ...over }, headers)
  return {
    path,
    decide,
    decided: async (...decisions: unknown[]) => {
      const answer = await decide(decisions)
      expect([answer.status, answer.text]).toEqual([201, expect.anything()])
      return (answer.json as { events: RecordedDecision[] }).events
    },
    events: async (query = '') => (await running.get(`${path}/events${query}`)).json as DecisionList,
    state: async (query = '') => (await running.get(`${path}/state${query}`)).json as SpaceState,
  }
}

async function plans(flags: Readonly<Record<string, string>> = {}) {
  const running = await startDaemon(foundHome(), { flags })
  expect((await running.post('/v1/spaces', { space: 'plans' })).status).toBe(201)
  return { running, memberId: running.host.meshFile.memberId, ...spaceOf(running) }
}

const refusal = async (answer: Promise<{ status: number; json: unknown }>) => {
  const { status, json } = await answer
  return [status, (json as { code: string }).code]
}

describe('a space', () => {
  test('is there once it was made, and not before', async () => {
    const running = await startDaemon(foundHome())
    const { decide } = spaceOf(running)
    expect(await refusal(decide([set('a', 1)]))).toEqual([404, 'space_unknown'])
    expect((await running.get('/v1/spaces')).json).toEqual({ spaces: [], next: null })
    expect(existsSync(running.host.paths.spaces)).toBe(false)

    const made = await running.post('/v1/spaces', { space: 'plans' })
    expect([made.status, made.headers.location]).toEqual([201, '/v1/spaces/plans'])
    expect(made.json).toMatchObject({ space: 'plans', seq: 0, head: null, damage: null, lease: { is_own: true } })
    expect((await running.post('/v1/spaces', { space: 'plans' })).status).toBe(200)
    expect((await running.get('/v1/spaces/plans')).json).toMatchObject({ seq: 0 })
    expect(await spaceOf(running).events()).toEqual({ events: [], next: null })
    expect(await spaceOf(running).state()).toMatchObject({ seq: 0, state: {} })
    expect((await running.get('/v1/spaces/plans/export')).text).toBe('')
  })

  test('is listed by its name, page by page', async () => {
    const running = await startDaemon(foundHome())
    for (const space of ['c', 'a', 'b']) await running.post('/v1/spaces', { space })
    const list = async (query: string) => (await running.get(`/v1/spaces${query}`)).json as SpaceList
    const first = await list('?limit=2')
    expect([first.spaces.map(({ space }) => space), first.next]).toEqual([['a', 'b'], 'b'])
    const rest = await list('?limit=2&after=b')
    expect([rest.spaces.map(({ space }) => space), rest.next]).toEqual([['c'], null])
  })

  test('is in the repository that the settings name, in its format, also when that is there already', async () => {
    const repository = join(scratchDirectory(), 'shared.git')
    const flags = { 'spaces.repository': repository, 'spaces.object_format': 'sha256' }
    const { running, decided } = await plans(flags)
    await decided(set('database', 'sqlite'))
    expect(git(repository, 'log', '--format=%s', 'spaces/plans')).toBe('state database')
    expect(git(repository, 'rev-parse', 'spaces/plans')).toHaveLength(64)
    expect(existsSync(running.host.paths.spaces)).toBe(false)
  })
})

describe('deciding', () => {
  test('is kept when answered, in order, as this member', async () => {
    const { running, decided, memberId, events } = await plans()
    const [first, second] = await decided(set('database', 'sqlite'), {
      kind: 'note',
      payload: { text: 'for now', refs: [] },
    })
    expect([first?.seq, second?.seq, first?.actor, first?.signature]).toEqual([1, 2, memberId, 'unsigned'])
    const repository = join(running.host.paths.spaces, 'decisions.git')
    expect(git(repository, 'log', '--format=%s', 'spaces/plans').split('\n')).toEqual([
      'note for now',
      'state database',
    ])
    expect(await events()).toEqual({ events: [first, second], next: null })
  })

  test('answers a repeated intent with the events that it made, also after a restart', async () => {
    const { running, decide } = await plans()
    const first = await decide([set('database', 'sqlite')], {}, key('choose'))
    expect((await decide([set('database', 'sqlite')], {}, key('choose'))).json).toEqual(first.json)
    expect(await refusal(decide([set('database', 'postgres')], {}, key('choose')))).toEqual([409, 'intent_reused'])
    await running.close()
    const again = spaceOf(await startDaemon(running.host))
    expect((await again.decide([set('database', 'sqlite')], {}, key('choose'))).json).toEqual(first.json)
    expect((await again.events()).events).toHaveLength(1)
  })

  test('expects the head that the caller has read', async () => {
    const { decide, decided } = await plans()
    await decided(set('a', 1))
    expect((await decide([set('a', 2)], { expect_head: 1 })).status).toBe(201)
    const late = await decide([set('a', 3)], { expect_head: 1 })
    expect([late.status, late.json]).toMatchObject([409, { code: 'head_moved', head: 2 }])
  })

  test.each([
    ['an unknown kind', [{ kind: 'guess', payload: {} }], 400, 'decision_kind_unknown'],
    ['a payload that is not of its kind', [{ kind: 'note', payload: { text: 7, refs: [] } }], 400, 'invalid_decision'],
    ['a lone surrogate', [set('k', '\ud800')], 400, 'decision_inexact'],
    ['300 KiB', [set('k', 'x'.repeat(300 * 1024))], 413, 'decision_too_large'],
    ['an alias of itself', [{ kind: 'alias', payload: { name: 'a', target: 'a' } }], 409, 'alias_cycle'],
    ['an actor of the caller’s choice', [{ ...set('k', 1), actor: 'somebody' }], 400, 'invalid_request'],
    ['nothing', [], 400, 'invalid_request'],
  ])('refuses %s, signed or not, and nothing of it is written', async (_, decisions, status, code) => {
    const { decide, events } = await plans()
    for (const sign of [false, true]) {
      expect(
        await refusal(decide([set('ok', 1), ...decisions].slice(decisions.length === 0 ? 1 : 0), { sign })),
      ).toEqual([status, code])
    }
    expect((await events()).events).toEqual([])
  })

  test('is refused while the disk is full, and reading goes on', async () => {
    const { running, decided } = await plans()
    await decided(set('a', 1))
    await running.close()
    writeFileSync(join(running.host.paths.directory, 'ballast'), Buffer.alloc(2 * 1024 * 1024))
    const full = await startDaemon(running.host, { flags: { 'disk.budget_bytes': '1048576' } })
    const space = spaceOf(full)
    await eventually('the disk is measured', async () => (await space.decide([set('b', 2)])).status === 507)
    const { events } = await space.events()
    expect(await refusal(space.decide([set('c', 3)]))).toEqual([507, 'insufficient_storage'])
    expect((await space.events()).events).toEqual(events)
  })
})

describe('a signature', () => {
  test('is of this member, and is judged wherever the decision is read', async () => {
    const { running, decide, events, path } = await plans()
    await decide([set('database', 'sqlite')], { sign: true })
    expect((await events()).events).toMatchObject([{ signature: 'verified', sig: expect.anything() }])
    const why = (await running.get(`${path}/why?key=database`)).json as SpaceReasons
    expect(why).toMatchObject({ key: 'database', value: 'sqlite', decisions: [{ signature: 'verified' }] })
  })

  test('that does not fit what was decided is told', async () => {
    const { running, decided, path } = await plans()
    await decided(set('a', 1))
    const [line = ''] = (await running.get(`${path}/export`)).text.split('\n')
    const forged = line.replace(/("seq":1),"space":"plans"/, `$1,"sig":"${'A'.repeat(86)}","space":"other"`)
    const imported = await running.request({ method: 'POST', path: '/v1/spaces/other/import', body: `${forged}\n` })
    expect([imported.status, imported.json]).toEqual([200, { appended: 1, present: 0 }])
    expect((await spaceOf(running, 'other').events()).events).toMatchObject([{ signature: 'invalid' }])
  })

  test('of who is revoked is said to be', async () => {
    const { running, decide } = await plans()
    await decide([set('a', 1)], { sign: true })
    await running.close()
    revokeSelf(running.host)
    const after = spaceOf(await startDaemon(running.host))
    expect((await after.events()).events).toMatchObject([{ signature: 'revoked' }])
  })
})

describe('asking', () => {
  test('what holds, and what held', async () => {
    const { running, decided, state, path } = await plans()
    await decided(set('database', 'sqlite'), set('database', 'postgres'), set('__proto__', 'x'), set('a\nb', 1))
    expect((await state()).state).toMatchObject({ database: { value: 'postgres', seq: 2 }, 'a\nb': { value: 1 } })
    expect(Object.hasOwn((await state()).state, '__proto__')).toBe(true)
    expect((await state('?at=1')).state).toMatchObject({ database: { value: 'sqlite' } })
    expect(await refusal(running.get(`${path}/state?at=9`))).toEqual([400, 'invalid_cursor'])
  })

  test('by pages', async () => {
    const { decided, events } = await plans()
    await decided(...Array.from({ length: 5 }, (_, n) => set(`k${n}`, n)))
    const seqs = ({ events: page, next }: DecisionList) => [page.map(({ seq }) => seq), next]
    expect(seqs(await events('?limit=2'))).toEqual([[1, 2], 2])
    expect(seqs(await events('?limit=2&after=2'))).toEqual([[3, 4], 4])
    expect(seqs(await events('?limit=2&after=4'))).toEqual([[5], null])
  })

  test('as it comes: a reader that comes back misses nothing, and gets nothing twice', async () => {
    const { running, decided, path } = await plans()
    await decided(set('a', 1), set('b', 2))
    const reader = await followLog(running.daemon.socket, `${path}/events`)
    await eventually('it has what was there', () => reader.ids().length === 2)
    await decided(set('c', 3))
    await eventually('it has what came', () => reader.ids().length === 3)
    reader.leave()
    await decided(set('d', 4))
    const back = await followLog(running.daemon.socket, `${path}/events`, { 'last-event-id': '3' })
    await eventually('it has what it missed', () => back.ids().length === 1)
    expect([reader.ids(), back.ids()]).toEqual([[1, 2, 3], [4]])
    expect(back.data()).toMatchObject([{ seq: 4, kind: 'state', signature: 'unsigned' }])
    await running.close()
    await eventually('it ends with the daemon', () => back.hasEnded())
  })

  test('as it comes is bounded with all other streams, and of a space that is there', async () => {
    const { running, path } = await plans()
    const { socket } = running.daemon
    await expect(followLog(socket, '/v1/spaces/nowhere/events')).rejects.toThrow('404')
    const readers = await Promise.all(Array.from({ length: 32 }, () => followLog(socket, `${path}/events`)))
    await expect(followLog(socket, `${path}/events`)).rejects.toThrow('429')
    await expect(followLog(socket, '/v1/events')).rejects.toThrow('429')
    readers[0]?.leave()
    await eventually('there is room', async () => {
      const next = await followLog(socket, '/v1/events').catch(() => null)
      next?.leave()
      return next !== null
    })
  })
})

describe('the lease', () => {
  test('is held by who decides, can be given up, and be taken over', async () => {
    const { running, decided, path, events } = await plans()
    await decided(set('a', 1))
    const lease = async () => ((await running.get(`${path}/lease`)).json as LeaseAnswer).lease
    const { memberId } = running.host.meshFile
    expect(await lease()).toMatchObject({ holder: memberId, epoch: 1, is_held: true, is_own: true })
    await running.post(`${path}/lease/release`, {})
    expect(await lease()).toMatchObject({ is_held: false, is_own: false })
    await running.post(`${path}/lease/acquire`, {})
    expect(await lease()).toMatchObject({ epoch: 2, is_own: true })
    await running.post(`${path}/lease/acquire`, { force: true })
    expect(await lease()).toMatchObject({ epoch: 3, is_own: true })
    expect((await events()).events.at(-1)).toMatchObject({ kind: 'note', payload: { text: /lease 3/ } })
  })

  test('lets two daemons of a host decide in one repository, in one line', async () => {
    const repository = join(scratchDirectory(), 'shared.git')
    const [alice, bob] = [
      await plans({ 'spaces.repository': repository }),
      await startDaemon(foundHome({ slug: 'b' }), { flags: { 'spaces.repository': repository } }),
    ]
    const other = spaceOf(bob)
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, n) => (n % 2 === 0 ? alice : other).decide([set(`k${n}`, n)])),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(201))
    const { events } = await alice.events()
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 16 }, (_, n) => n + 1))
    expect(await other.state()).toEqual(await alice.state())
    expect(await refusal(bob.post('/v1/spaces/plans/lease/acquire', {}))).toEqual([409, 'lease_held'])
    expect(fsck(repository)).toBe('')
  })
})

describe('each decision is told of once on /v1/events', () => {
  const toldOf = (reader: { data(): unknown[] }) =>
    reader.data().map((data) => (data as { seq: number; space: string }).seq)

  test('by every daemon of the repository, whichever has decided', async () => {
    const repository = join(scratchDirectory(), 'shared.git')
    const flags = { 'spaces.repository': repository }
    const alice = await plans(flags)
    const bob = await startDaemon(foundHome({ slug: 'b' }), { flags })
    const readers = await Promise.all(
      [alice.running, bob].map(({ daemon }) => followLog(daemon.socket, '/v1/events?types=decision&since=0')),
    )
    await alice.decided(set('a', 1), set('b', 2))
    await spaceOf(bob).decided(set('c', 'x'.repeat(100_000)))
    await eventually('both tell of all', () => readers.every((reader) => toldOf(reader).length === 3))
    expect(readers.map(toldOf)).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ])
    expect(readers[0]?.data()).toMatchObject([
      { space: 'plans', payload: { key: 'a', value: 1 }, truncated: false },
      {},
      { payload: null, truncated: true },
    ])
  })

  test('also what came while nobody was there', async () => {
    const { running, decided } = await plans()
    await decided(set('a', 1))
    await running.close()
    const repository = join(running.host.paths.spaces, 'decisions.git')
    const log = await openLog(repository)
    await log.append('plans', [{ ...set('b', 2), actor: 'somebody' } as DecisionDraft], { intentId: 'b' })
    const after = await startDaemon(running.host)
    const reader = await followLog(after.daemon.socket, '/v1/events?types=decision&since=0')
    await eventually('it tells of both', () => toldOf(reader).length === 2)
    expect(toldOf(reader)).toEqual([1, 2])
  })
})

describe('health', () => {
  test('says how the repository is, and messages flow without it', async () => {
    const running = await startDaemon(foundHome(), { flags: { 'spaces.repository': import.meta.dirname } })
    const health = async () => (await running.get('/v1/health')).json as Health
    expect((await health()).spaces).toEqual({ status: 'idle', leases: 0 })
    expect(await refusal(running.post('/v1/spaces', { space: 'plans' }))).toEqual([409, 'not_a_repository'])
    expect((await health()).conditions.map(({ code }) => code)).toContain('spaces_down')
    expect((await running.post('/v1/send', { to: '#team', message: 'x' })).status).toBe(202)
  })
})

describe('moving', () => {
  test('an export is taken over as it is, once', async () => {
    const from = await plans()
    await from.decided(set('a', 1), set('b', 2))
    const { text, headers } = await from.running.get(`${from.path}/export`)
    expect(headers['content-type']).toBe('application/x-ndjson')
    const to = await startDaemon(foundHome())
    const send = (body: string) =>
      to.request({
        method: 'POST',
        path: '/v1/spaces/plans/import',
        headers: { 'content-type': 'application/x-ndjson' },
        body,
      })
    expect((await send(text)).json).toEqual({ appended: 2, present: 0 })
    expect((await send(text)).json).toEqual({ appended: 0, present: 2 })
    expect((await to.get('/v1/spaces/plans/export')).text).toBe(text)
    expect(await spaceOf(to).state()).toEqual(await from.state())
    const [, second = ''] = text.split('\n')
    const gap = await send(`${second.replace('"seq":2', '"seq":4')}\n`)
    expect([gap.status, gap.json]).toMatchObject([409, { code: 'import_out_of_order', line: 1 }])
  })

  test('push and pull take spaces to and from another repository', async () => {
    const from = await plans()
    await from.decided(set('a', 1))
    const remote = join(scratchDirectory(), 'backup.git')
    mkdirSync(remote)
    git(remote, 'init', '--bare', '--quiet')
    const pushed = await from.running.post('/v1/decisions/push', { remote })
    expect(pushed.json).toEqual({ spaces: [{ space: 'plans', outcome: 'pushed' }] })
    const to = await startDaemon(foundHome())
    const pulled = await to.post('/v1/decisions/pull', { remote })
    expect(pulled.json).toEqual({ spaces: [{ space: 'plans', outcome: 'pulled', events: 1 }] } satisfies PulledSpaces)
    expect(await spaceOf(to).state()).toEqual(await from.state())
    const report = (await to.post('/v1/decisions/fsck', {})).json as RepositoryReport
    expect(report).toMatchObject({ problems: [], spaces: [{ space: 'plans', seq: 1, damage: null }] })
  })

  test.each(['--upload-pack=touch x', '-x', 'ext::sh', 'a b', 'fd::3'])('%j is no other repository', async (remote) => {
    const { running } = await plans()
    for (const verb of ['push', 'pull']) {
      expect(await refusal(running.post(`/v1/decisions/${verb}`, { remote }))).toEqual([400, 'invalid_request'])
    }
  })

  test('a repository that is not there is told of', async () => {
    const { running } = await plans()
    expect(await refusal(running.post('/v1/decisions/pull', { remote: '/nowhere' }))).toEqual([502, 'remote_failed'])
  })
})

test('a branch that was moved by hand is told of until somebody accepts it', async () => {
  const { running, decided } = await plans()
  await decided(set('a', 1), set('a', 2))
  const repository = join(running.host.paths.spaces, 'decisions.git')
  git(repository, 'update-ref', 'refs/heads/spaces/plans', 'spaces/plans~1')
  const view = (await running.get('/v1/spaces/plans')).json as SpaceView
  expect(view.damage?.code).toBe('history_rewritten')
  expect(await refusal(spaceOf(running).decide([set('a', 3)]))).toEqual([409, 'history_rewritten'])
  const accepted = await running.post('/v1/spaces/plans/accept-history', {})
  expect(accepted.json).toMatchObject({ seq: 1, damage: null })
  expect(await decided(set('a', 3))).toMatchObject([{ seq: 2 }])
})

test('a log that was damaged is told of, and what is before it is read', async () => {
  const { running, decided } = await plans()
  await decided(set('a', 1))
  await running.close()
  const repository = join(running.host.paths.spaces, 'decisions.git')
  const tree = git(repository, 'hash-object', '-t', 'tree', '-w', '/dev/null')
  const commit = git(
    repository,
    ...['-c', 'user.name=x', '-c', 'user.email=x', 'commit-tree', tree, '-p', 'spaces/plans', '-m', 'x'],
  )
  git(repository, 'update-ref', 'refs/heads/spaces/plans', commit)
  const after = await startDaemon(running.host)
  expect((await after.get('/v1/spaces')).json).toMatchObject({
    spaces: [{ space: 'plans', damage: { code: 'log_corrupt' } }],
  })
  expect(await refusal(spaceOf(after).decide([set('a', 2)]))).toEqual([500, 'log_corrupt'])
  const view = (await after.get('/v1/spaces/plans')).json as SpaceView
  expect(view.damage?.detail).toContain(commit)
})
