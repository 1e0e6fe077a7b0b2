/** Sinks as a user has them: a daemon that records what it sends, the command line, files and a receiver. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Health, HistoryRow } from '@claudemesh/protocol'
import type { ArchivePage, Sink, SinkList, SinkRunView } from '@claudemesh/protocol/sinks'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { findFreePort, meshSlug, type TestMember, TestMesh } from '../support/mesh.ts'
import { readIndependently } from '../support/parquet-reader.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

let mesh: TestMesh
let alice: TestMember

beforeAll(async () => {
  mesh = await TestMesh.start(['alice', 'bob'])
  alice = mesh.member('alice')
}, 60_000)
afterAll(() => mesh.end())

const json = <T>(...args: readonly string[]): T => {
  const { status, stdout, stderr } = alice.run([...args, '--json'])
  if (status !== 0) throw new Error(`claudemesh ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`)
  return JSON.parse(stdout) as T
}
const config = () => join(alice.home, 'daemon', meshSlug, 'config.toml')

/** Sends so many messages, and waits until the history has that they were accepted. */
async function send(count: number, what: string): Promise<void> {
  for (let n = 1; n <= count; n += 1) await alice.send({ to: '@bob', message: `${what} ${n}` }, '?wait=20000')
  await eventually('the history has all of it', async () => {
    const { json: found } = await alice.request({ method: 'GET', path: '/v1/history/query?direction=sent&limit=500' })
    const { rows } = found as { rows: HistoryRow[] }
    return rows.filter(({ body }) => body?.startsWith(what)).length >= count
  })
}

test('what was sent is exported to Parquet, goes on after a restart, and is read back with the command line', async () => {
  const exports = join(scratchDirectory(), 'exports')
  await send(5, 'parquet')
  const added = json<Sink>('sink', 'add', 'nightly', `file://${exports}`, '--schedule', '0 3 * * *')
  expect(added).toMatchObject({ name: 'nightly', phase: 'waiting', schedule: '0 3 * * *' })
  expect(readFileSync(config(), 'utf8')).toContain('[sinks.nightly]')
  expect(json<SinkRunView>('sink', 'run', 'nightly').error).toBe(null)
  await alice.start()
  await send(3, 'later')
  expect(json<SinkRunView>('sink', 'run', 'nightly').rows).toBeGreaterThanOrEqual(3)
  const bodies = objectsIn(exports)
    .flatMap((path) => readIndependently(readFileSync(path)))
    .filter(({ direction }) => direction === 'sent')
    .map(({ body }) => body)
    .filter((body) => /^(parquet|later)/.test(String(body)))
  expect(new Set(bodies).size).toBe(8)
  const page = json<ArchivePage>('history', 'query', '--from-sink', 'nightly', '--limit', '500')
  expect(page.rows.map(({ seq }) => seq)).toEqual(
    page.rows.map(({ seq }) => seq).toSorted((a, b) => Number(a) - Number(b)),
  )
  expect(page.rows.filter(({ body }) => body === 'parquet 5').length).toBeGreaterThan(0)
  expect(json<SinkList>('sink', 'list').sinks).toHaveLength(1)
  expect(alice.run(['sink', 'status', 'nightly']).stdout).toContain('up to date')
  json('sink', 'remove', 'nightly', '--confirm')
  expect(readFileSync(config(), 'utf8')).not.toContain('nightly')
  expect(objectsIn(exports).length).toBeGreaterThan(1)
})

test('what was sent is forwarded to a collector; a failure is told of in health, metrics and events', async () => {
  const port = String(await findFreePort())
  const ledger = join(scratchDirectory(), 'ledger.db')
  const receiver = new ManagedProcess(['sink-server', '--ledger', ledger, '--port', port], {})
  onTestFinished(() => void receiver.signal('SIGKILL'))
  const url = `http://127.0.0.1:${port}/v1`
  await eventually('the receiver listens', () => receiver.output.includes(url))
  await send(3, 'forward')
  json('sink', 'add', 'broken', `${url}/nowhere`)
  expect(alice.run(['sink', 'run', 'broken']).status).not.toBe(0)
  const { json: health } = await alice.request({ method: 'GET', path: '/v1/health' })
  expect((health as Health).conditions.map(({ code }) => code)).toContain('sink_failing')
  const { text: metrics } = await alice.request({ method: 'GET', path: '/v1/metrics' })
  expect(metrics).toMatch(/cm_daemon_sink_failing_partitions\{sink="broken"\} [1-9]/)
  json('sink', 'remove', 'broken', '--confirm')
  json('sink', 'add', 'collector', `${url}/batches`)
  json('sink', 'run', 'collector')
  const lines = (await (await fetch(`${url}/rows`)).text()).trimEnd().split('\n')
  const rows = lines.map((line) => JSON.parse(line) as HistoryRow)
  expect(rows.filter(({ direction, body }) => direction === 'sent' && body?.startsWith('forward'))).toHaveLength(3)
  expect(new Set(rows.map(({ row_id }) => row_id)).size).toBe(rows.length)
  expect(alice.run(['history', 'query', '--from-sink', 'collector', '--json']).stderr).toContain('sink_not_listable')
  json('sink', 'remove', 'collector', '--confirm')
})

test('a watermark that is gone stops the sink and says so, until it is reset from the destination', async () => {
  const exports = join(scratchDirectory(), 'exports')
  await send(2, 'reset')
  json('sink', 'add', 'lake', `file://${exports}`, '--writer', 'jsonl')
  json('sink', 'run', 'lake')
  const before = objectsIn(exports)
  rmSync(join(alice.home, 'daemon', meshSlug, 'sinks/lake/messages', `mesh=${meshSlug}.json`))
  expect(alice.run(['sink', 'run', 'lake', '--json']).stderr).toContain('sink_stopped')
  expect(json<Sink>('sink', 'status', 'lake').phase).toBe('stopped')
  json('sink', 'reset', 'lake', '--from-destination')
  json('sink', 'run', 'lake')
  expect(objectsIn(exports)).toEqual(expect.arrayContaining(before))
  expect(json<Sink>('sink', 'pause', 'lake').phase).toBe('paused')
  expect(json<Sink>('sink', 'resume', 'lake').phase).toBe('waiting')
  json('sink', 'remove', 'lake', '--confirm')
})

test('SIGHUP takes over what is written by hand: a new sink, a changed one and one that is gone', async () => {
  const before = existsSync(config()) ? readFileSync(config(), 'utf8') : ''
  const exports = join(scratchDirectory(), 'exports')
  const reloadWith = (...sinks: readonly string[]) => {
    writeFileSync(config(), `${before}\n${sinks.join('\n')}`, { mode: 0o600 })
    alice.running.signal('SIGHUP')
  }
  const section = (name: string, schedule: string) =>
    `[sinks.${name}]\ndestination = "file://${exports}/${name}"\nschedule = "${schedule}"\n`
  const sinks = async () => {
    const { json: found } = await alice.request({ method: 'GET', path: '/v1/sinks' })
    return (found as SinkList).sinks.map(({ name, schedule }) => `${name} ${schedule}`)
  }
  const run = async (name: string) =>
    (await alice.request({ method: 'POST', path: `/v1/sinks/${name}/run`, body: {} })).json as SinkRunView
  const opened = (name: string) => {
    const lines = alice.running.output.split('\n')
    return lines.filter((line) => line.includes('"sink_opened"') && line.includes(`"sink":"${name}"`)).length
  }

  reloadWith(section('one', '0 1 * * *'), section('two', '0 2 * * *'))
  await eventually('both are there', async () => (await sinks()).length === 2)
  expect(await sinks()).toEqual(['one 0 1 * * *', 'two 0 2 * * *'])
  await send(2, 'reloaded')
  const exported = (await run('one')).rows
  expect(exported).toBeGreaterThanOrEqual(2)

  reloadWith(section('one', '0 5 * * *'), section('two', '0 2 * * *'))
  await eventually('one goes by another schedule', async () => (await sinks()).includes('one 0 5 * * *'))
  expect((await run('one')).rows, 'it goes on where it was').toBeLessThan(exported)
  expect([opened('one'), opened('two')], 'what has not changed goes on as it is').toEqual([2, 1])

  reloadWith(section('one', '0 5 * * *'), section('two', 'never'))
  await eventually('the fault is told of', async () => {
    const { json: health } = await alice.request({ method: 'GET', path: '/v1/health' })
    return (health as Health).conditions.some(({ code }) => code === 'config_reload_failed')
  })
  expect(await sinks()).toHaveLength(2)

  reloadWith()
  await eventually('both are gone', async () => (await sinks()).length === 0)
  reloadWith(section('one', '0 5 * * *'))
  await eventually('one is back', async () => (await sinks()).length === 1)
  await send(1, 'back')
  expect((await run('one')).lost).toBe(0)
  const bodies = objectsIn(exports)
    .flatMap((path) => readIndependently(readFileSync(path)))
    .filter(({ direction, body }) => direction === 'sent' && /^(reloaded|back)/.test(String(body)))
    .map(({ body }) => body)
  expect(bodies.toSorted()).toEqual(['back 1', 'reloaded 1', 'reloaded 2'])
  reloadWith()
  await eventually('it is gone again', async () => (await sinks()).length === 0)
})

test('what cannot be a sink is refused in a sentence, and leaves the configuration as it was', () => {
  const refused = (...args: readonly string[]) => alice.run(['sink', 'add', ...args, '--json']).stderr
  expect(refused('x', 'https://collect.example.org', '--writer', 'parquet')).toContain('it is one of ndjson')
  expect(refused('x', 'file:///srv/x', '--schedule', '61 * * * *')).toContain('no cron expression')
  expect(refused('x', 'srv/x')).toContain('is none of https://')
  expect(alice.run(['sink', 'run', 'x', '--json']).stderr).toContain('sink_unknown')
  expect(readFileSync(config(), 'utf8')).not.toContain('sinks.x')
})

function objectsIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}
