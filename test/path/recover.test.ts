/** Stores that are damaged on purpose, each in its own way: what `daemon recover` brings back, and what it says of the rest. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { HistoryRow, TopicList } from '@claudemesh/protocol'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jsonlWriter } from '../../packages/sinks/src/index.ts'
import { ArtifactsOf } from '../artifacts/daemon-client.ts'
import { eventually } from '../support/eventually.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

interface Store {
  readonly store: string
  readonly state: string
  readonly notes: readonly string[]
  readonly salvaged: readonly { table: string; rows: number; refused: number; gaps: number }[] | null
  readonly moved_to: string | null
}

interface Report {
  readonly stores: readonly Store[]
  readonly was_interrupted: boolean
  readonly dead_exported_to: string | null
}

const pageBytes = 4096
const recoverSteps = [
  'daemon.recover.salvaged',
  'daemon.recover.begun',
  'daemon.recover.moved-aside',
  'daemon.recover.in-place',
] as const

describe('a home with damaged stores', { timeout: 120_000 }, () => {
  let mesh: TestMesh
  let alice: TestMember
  let bob: TestMember

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
    alice = mesh.member('alice')
    bob = mesh.member('bob')
  }, 60_000)
  afterAll(() => mesh.end())

  function recover(member: TestMember, options: readonly string[] = []): Report & { readonly status: number | null } {
    const { status, stdout, stderr } = member.run(['daemon', 'recover', '--json', ...options])
    if (stdout === '') throw new Error(stderr)
    return { status, ...(JSON.parse(stdout) as Report) }
  }

  /** A sound end, so that all is in the file and nothing in its log. */
  async function stop(member: TestMember): Promise<void> {
    member.cli(['daemon', 'stop'])
    await member.running.ended
  }

  async function send(keys: readonly string[], to = '@bob'): Promise<void> {
    for (const key of keys) {
      const message = `${key} ${'x'.repeat(1_000)}`
      expect(await alice.send({ to, message, client_message_id: key })).toMatchObject({ status: 202 })
    }
  }

  /** Overwrites the page that holds a text. */
  function overwritePageWith(path: string, text: string): void {
    const bytes = readFileSync(path)
    const at = bytes.indexOf(text)
    expect(at, `${text} stands in ${path}`).toBeGreaterThan(0)
    const page = Math.floor(at / pageBytes)
    bytes.fill(0xa5, page * pageBytes, (page + 1) * pageBytes)
    writeFileSync(path, bytes)
  }

  test('sound stores are said to be sound, and a running daemon is left alone', async () => {
    expect(JSON.parse(alice.run(['daemon', 'recover', '--json']).stderr)).toMatchObject({ code: 'already_running' })
    await stop(bob)
    const report = recover(bob, ['--confirm'])
    expect(report.status).toBe(0)
    expect(report.stores.map(({ store, state }) => [store, state])).toEqual([
      ['outbox', 'sound'],
      ['inbox', 'sound'],
      ['members', 'sound'],
      ['events', 'sound'],
      ['artifacts', 'missing'],
      ['spaces', 'missing'],
      ['history events/mesh=test', 'sound'],
      ['history messages/mesh=test', 'sound'],
    ])
    await bob.start()
  })

  test('an outbox with a damaged page loses what is on it, sends the rest once, and says how much is missing', async () => {
    await mesh.broker.kill()
    const keys = Array.from({ length: 30 }, (_, i) => `waits-${i}`)
    await send(keys)
    await stop(alice)
    const { outboxDatabase } = alice.paths
    endDead(outboxDatabase, 'waits-2')
    overwritePageWith(outboxDatabase, 'waits-15 xxx')

    await expect(alice.start()).rejects.toThrow('daemon recover')
    const before = readFileSync(outboxDatabase)
    const looked = recover(alice)
    expect(looked).toMatchObject({ status: 65, dead_exported_to: null })
    expect(readFileSync(outboxDatabase).equals(before), 'looking changes nothing').toBe(true)

    // Killed at each of its steps, the command is given again: no daemon starts on half of it.
    for (const at of recoverSteps) {
      const died = alice.run(['daemon', 'recover', '--confirm'], '', { CLAUDEMESH_CRASH_AT: at })
      expect(died.status, at).toBeNull()
      if (at !== 'daemon.recover.in-place') await expect(alice.start(), at).rejects.toThrow('daemon recover')
    }
    const finished = recover(alice, ['--confirm'])
    expect(finished).toMatchObject({ status: 0, was_interrupted: true })
    const moved = readdirSync(dirname(outboxDatabase)).filter((name) => /^outbox\.db\.corrupt-\w+$/.test(name))
    expect(moved).toHaveLength(1)
    expect(readFileSync(`${dirname(outboxDatabase)}/${moved[0]}`).equals(before), 'the damaged file is kept').toBe(true)
    const exported = readdirSync(alice.paths.recovered).map((name) =>
      JSON.parse(readFileSync(`${alice.paths.recovered}/${name}`, 'utf8')),
    )
    expect(exported[0]).toMatchObject({
      client_message_id: 'waits-2',
      destination_kind: 'dm',
      last_error: 'made by the test',
    })
    expect(exported[0].message).toContain('waits-2 xxx')

    await mesh.broker.start()
    await alice.start()
    await alice.drained()
    const arrived = (await bob.inboxOf(25)).map(({ client_message_id }) => client_message_id)
    expect(arrived.length).toBeLessThan(keys.length - 1)
    expect(arrived).toEqual(keys.filter((key) => arrived.includes(key)))
    expect(arrived).not.toContain('waits-15')
    expect(arrived).not.toContain('waits-2')
  })

  test('an inbox comes back with its marks, finds what is missing at the broker, and tells nothing twice', async () => {
    const all = (await bob.inbox()).map(({ client_message_id }) => client_message_id)
    const read = (await bob.inbox())[0]?.id
    await bob.request({ method: 'POST', path: '/v1/inbox/mark', body: { ids: [read], read: true } })
    await stop(bob)
    overwritePageWith(bob.paths.inboxDatabase, 'waits-9 xxx')
    const report = recover(bob, ['--confirm'])
    expect(report.stores.find(({ store }) => store === 'inbox')?.salvaged).toContainEqual(
      expect.objectContaining({ table: 'inbox', gaps: 1 }),
    )
    await bob.start()
    await eventually('the missing messages are back', async () => (await bob.inbox()).length === all.length)
    const found = await bob.inbox()
    expect(found.map(({ client_message_id }) => client_message_id).sort()).toEqual([...all].sort())
    expect(found.find(({ id }) => id === read)?.read_at).not.toBeNull()
    const search = await bob.request({ method: 'GET', path: '/v1/inbox/search?q=%22waits-20%22' })
    expect(search.json).toMatchObject({ messages: [{ client_message_id: 'waits-20' }] })
  })

  test('members and events: flipped, cut, emptied, deleted, the start needs nothing but the command', async () => {
    alice.cli(['topic', 'subscribe', 'builds'])
    await stop(alice)
    const { membersDatabase, eventsDatabase } = alice.paths
    flip(membersDatabase, 0, 16)
    truncateSync(eventsDatabase, statSync(eventsDatabase).size - pageBytes)
    const report = recover(alice, ['--confirm'])
    expect(report.status).toBe(0)
    expect(report.stores.filter(({ state }) => state === 'damaged').map(({ store }) => store)).toEqual([
      'members',
      'events',
    ])
    for (const { moved_to } of report.stores.filter(({ state }) => state === 'damaged')) {
      expect(moved_to !== null && existsSync(moved_to)).toBe(true)
    }
    await alice.start()
    const topics = (await alice.request({ method: 'GET', path: '/v1/topic/list' })).json as TopicList
    expect(topics.topics.map(({ name }) => name)).toContain('builds')

    await stop(alice)
    writeFileSync(membersDatabase, '')
    rmSync(eventsDatabase)
    expect(recover(alice, ['--confirm']).stores.map(({ store, state }) => [store, state])).toContainEqual([
      'members',
      'damaged',
    ])
    await alice.start()
    await alice.knows(['bob'])
    await send(['at-last'])
    await alice.drained()
    await eventually('it arrives', async () =>
      (await bob.inbox()).some(({ client_message_id }) => client_message_id === 'at-last'),
    )
  })

  test('artifacts: flipped, cut, deleted, what the log still says is there as it was, and no bytes are collected', async () => {
    const artifacts = new ArtifactsOf(() => alice.socket)
    const make = async (text: string) => {
      const packageId = await artifacts.newPackage()
      await artifacts.put(packageId, 'a.txt', text)
      await artifacts.post(`/packages/${packageId}/finalize`)
      return packageId
    }
    const packageId = await make('first')
    const manifest = (await artifacts.get(`/packages/${packageId}/manifest`)).bytes
    const { artifactsDatabase: path } = alice.paths
    const damage: Readonly<Record<string, () => void>> = {
      // A view: the log gives back all of it.
      flipped: () => overwriteRootOf(path, 'artifact_packages'),
      cut: () => truncateSync(path, statSync(path).size - pageBytes),
      deleted: () => rmSync(path),
    }
    for (const [how, run] of Object.entries(damage)) {
      await stop(alice)
      run()
      expect(recover(alice), how).toMatchObject({ status: 65 })
      const died = alice.run(['daemon', 'recover', '--confirm'], '', {
        CLAUDEMESH_CRASH_AT: 'daemon.recover.moved-aside',
      })
      expect(died.status, how).toBeNull()
      expect(recover(alice, ['--confirm']), how).toMatchObject({ status: 0, was_interrupted: true })
      await alice.start()
      const answer = await artifacts.get(`/packages/${packageId}/manifest`)
      // What was on the page that a cut took is lost, and nothing stands in its place.
      if (answer.status === 200) expect(answer.bytes.equals(manifest), how).toBe(true)
      else expect([how, answer.status]).toEqual([expect.not.stringMatching('flipped'), expect.toBeOneOf([404, 409])])
      expect((await artifacts.post('/maintenance/gc', { dry_run: true })).json).toMatchObject({ objects: [] })
    }
    const blobs = (await artifacts.get('/packages?producer=claudemesh')).json as { packages: { name: string }[] }
    expect(blobs.packages.map(({ name }) => name)).toEqual(['recovered bytes'])
  })

  test('artifacts: no store is founded on the objects of one whose database is gone', async () => {
    const artifacts = new ArtifactsOf(() => alice.socket)
    await stop(alice)
    rmSync(alice.paths.artifactsDatabase)
    await alice.start()
    expect((await artifacts.get('/packages')).json).toMatchObject({ code: 'database_unavailable' })
    expect(JSON.parse(alice.run(['artifact', 'migrate', '--json']).stderr)).toMatchObject({ code: 'already_running' })
    await stop(alice)
    expect(JSON.parse(alice.run(['artifact', 'migrate', '--json']).stderr)).toMatchObject({ code: 'database_corrupt' })
    expect(
      recover(alice, ['--confirm'])
        .stores.find(({ store }) => store === 'artifacts')
        ?.notes.join(),
    ).toMatch(/1 objects that nothing refers to/)
    await alice.start()
    expect((await artifacts.get('/packages')).status).toBe(200)
  })

  test('the history keeps what can be read, whoever is killed, and a sink exports nothing of it twice', async () => {
    const exports = join(scratchDirectory(), 'exports')
    const run = () => alice.request({ method: 'POST', path: '/v1/sinks/lake/run', body: {} })
    const keys = (prefix: string) => Array.from({ length: 20 }, (_, n) => `${prefix}-${n}`)
    const isRecorded = async (key: string) => {
      const { json } = await alice.request({ method: 'GET', path: `/v1/history/query?client_message_id=${key}` })
      return (json as { readonly rows: readonly HistoryRow[] }).rows.length > 0
    }
    const destination = `file://${exports}`
    const keyed = { name: 'lake', destination, writer: 'jsonl', schedule: '0 0 1 1 *' }
    expect(await alice.request({ method: 'POST', path: '/v1/sinks', body: keyed })).toMatchObject({ status: 201 })
    await send(keys('exported'))
    await eventually('it is recorded', () => isRecorded('exported-19'))
    expect((await run()).json).toMatchObject({ error: null })
    await send(keys('unshipped'))
    await eventually('it is recorded', () => isRecorded('unshipped-19'))
    await stop(alice)

    const partition = join(alice.paths.history, 'messages/mesh=test')
    overwritePageWith(join(partition, readFileSync(join(partition, 'current'), 'utf8').trim()), 'unshipped-7 xxx')
    const watermark = join(alice.paths.directory, 'sinks/lake/events/mesh=test.json')
    writeFileSync(watermark, '')
    expect(recover(alice).status).toBe(65)
    for (const at of recoverSteps) {
      expect(alice.run(['daemon', 'recover', '--confirm'], '', { CLAUDEMESH_CRASH_AT: at }).status, at).toBeNull()
    }
    const report = recover(alice, ['--confirm'])
    expect(report.was_interrupted).toBe(true)
    expect(report.stores.find(({ store }) => store === 'sink lake')).toMatchObject({ state: 'damaged' })
    const aside = readdirSync(dirname(partition)).filter((name) => name.startsWith('mesh=test.'))
    expect(aside, 'the damaged directory is kept, and nothing else is left').toEqual([
      expect.stringMatching(/^mesh=test\.corrupt-\w+$/),
    ])

    await alice.start()
    expect((await run()).json).toMatchObject({ code: 'sink_stopped' })
    const reset = { from_destination: true }
    await alice.request({ method: 'POST', path: '/v1/sinks/lake/reset', body: reset })
    await send(['afterwards'])
    await eventually('it is recorded', () => isRecorded('afterwards'))
    expect((await run()).json).toMatchObject({ error: null })
    const rows = (await exportedRows(exports)).filter(({ direction }) => direction === 'sent')
    const sent = rows.map((row) => row.client_message_id)
    expect(new Set(sent).size, 'nothing twice').toBe(sent.length)
    expect(sent).toEqual(expect.arrayContaining([...keys('exported'), 'afterwards']))
    expect(sent).not.toContain('unshipped-7')
    expect(sent.filter((key) => key?.startsWith('unshipped')).length).toBeGreaterThan(10)
  })
})

async function exportedRows(directory: string): Promise<HistoryRow[]> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name))
  return (await Promise.all(paths.map((path) => jsonlWriter.decode(readFileSync(path))))).flat()
}

/** Makes a send one that has ended without success, as the sender would. */
function endDead(path: string, key: string): void {
  const db = new Database(path)
  const { changes } = db
    .prepare(`UPDATE outbox SET status = 'dead', last_error = 'made by the test' WHERE client_message_id = ?`)
    .run(key)
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.close()
  expect(changes).toBe(1)
}

/** Overwrites the page that leads to a table. */
function overwriteRootOf(path: string, table: string): void {
  const db = new Database(path)
  const page = db.prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck().get(table) ?? 0
  db.close()
  const bytes = readFileSync(path)
  bytes.fill(0xa5, (page - 1) * pageBytes, page * pageBytes)
  writeFileSync(path, bytes)
}

function flip(path: string, from: number, to: number): void {
  const bytes = readFileSync(path)
  for (let i = from; i < to; i += 1) bytes[i] = (bytes[i] ?? 0) ^ 0xff
  writeFileSync(path, bytes)
}
