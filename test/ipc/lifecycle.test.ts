/** The daemon as a process: one per home, refusals that say what to do, and every way to end. */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { dirname } from 'node:path'
import { writeKeyFile } from '@claudemesh/identity'
import type { Health, OutboxDetail, OutboxList } from '@claudemesh/protocol'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Members } from '../../apps/daemon/src/members/members.ts'
import { systemRuntime } from '../../apps/daemon/src/runtime.ts'
import { requestAt } from '../support/daemon-in-process.ts'
import { eventually } from '../support/eventually.ts'
import { foundHome, joinHome, type TestHome } from '../support/home.ts'
import { ManagedProcess } from '../support/managed-process.ts'

function spawnDaemon(
  host: TestHome,
  o: { env?: Record<string, string>; set?: readonly string[] } = {},
): ManagedProcess {
  const settings = (o.set ?? []).flatMap((setting) => ['--set', setting])
  const args = ['daemon', 'start', '--foreground', '--mesh', host.slug, ...settings]
  const child = new ManagedProcess(args, { CLAUDEMESH_HOME: host.home, ...o.env })
  onTestFinished(async () => {
    if (child.ending === null) await child.kill()
  })
  return child
}

const ask = (host: TestHome, method: string, path: string, body?: unknown) =>
  requestAt({ socketPath: socketOf(host) }, { method, path, ...(body === undefined ? {} : { body }) })

const socketOf = ({ paths }: TestHome) =>
  existsSync(paths.socketPath) ? readFileSync(paths.socketPath, 'utf8').trim() : paths.socket

async function healthOf(host: TestHome): Promise<Health | null> {
  try {
    return (await ask(host, 'GET', '/v1/health')).json as Health
  } catch {
    // Nobody listens, or not any more.
    return null
  }
}

async function startDaemon(host: TestHome, o: Parameters<typeof spawnDaemon>[1] = {}): Promise<ManagedProcess> {
  const child = spawnDaemon(host, o)
  await eventually('the daemon answers', async () => {
    if (child.ending !== null) throw new Error(`the daemon ended: ${child.output}`)
    return (await healthOf(host))?.pid === child.pid
  })
  return child
}

const lastExit = ({ paths }: TestHome) => JSON.parse(readFileSync(paths.lastExit, 'utf8')) as Record<string, unknown>

describe('one daemon per home', () => {
  test('of several that race exactly one stays; the others say already_running', async () => {
    const host = foundHome()
    for (let round = 0; round < 3; round += 1) {
      const racers = Array.from({ length: 3 }, () => spawnDaemon(host))
      const losers = await eventually('two have left', async () => {
        const left = racers.filter((racer) => racer.ending !== null)
        return left.length === 2 && (await healthOf(host)) !== null && left
      })
      for (const loser of losers) {
        expect(loser.output).toContain('already_running')
        expect(loser.ending).toEqual({ code: 75, signal: null })
      }
      const winner = racers.find((racer) => racer.ending === null)
      expect((await healthOf(host))?.pid).toBe(winner?.pid)
      expect(existsSync(host.paths.lastExit)).toBe(false)
      await winner?.kill()
    }
  })

  test('a kill leaves pid and socket behind, and neither keeps the next one from starting', async () => {
    const host = foundHome()
    const first = await startDaemon(host)
    const sent = await ask(host, 'POST', '/v1/send', { to: '#a', message: 'kept', client_message_id: 'kept' })
    expect(sent.status).toBe(202)
    await first.kill()
    expect(existsSync(host.paths.socket)).toBe(true)
    // The pid of a process that lives: this one's.
    writeFileSync(host.paths.pid, `${process.pid}\n`)
    const second = await startDaemon(host)
    expect(readFileSync(host.paths.pid, 'utf8')).toBe(`${second.pid}\n`)
    expect((await ask(host, 'GET', '/v1/outbox/kept')).json).toMatchObject({ row: { status: 'pending' } })
  })

  test('meshes of one home have a daemon each', async () => {
    const first = foundHome({ slug: 'one' })
    const second = foundHome({ slug: 'two', directory: first.home })
    await Promise.all([startDaemon(first), startDaemon(second)])
    expect([(await healthOf(first))?.mesh, (await healthOf(second))?.mesh]).toEqual(['one', 'two'])
  })
})

describe('a daemon that cannot run says why and what to do, and leaves word', () => {
  const corrupt = (path: string) => {
    const bytes = readFileSync(path)
    bytes.fill(0xa5, 4096, Math.min(bytes.length, 40_960))
    writeFileSync(path, bytes)
  }
  const rows: [name: string, exitCode: number, says: string, spoil: (host: TestHome) => void][] = [
    ['a home open to others', 77, 'chmod 700', (host) => chmodSync(host.home, 0o755)],
    ['a key file that others can read', 77, 'chmod 600', (host) => chmodSync(host.paths.keypair, 0o644)],
    ['a setting that there is not', 78, 'config.toml:2', (host) => writeConfig(host, '[ipc]\nhttp_prt = 1\n')],
    ['keys of somebody else', 78, 'not those of the certificate', (host) => useKeysOfAnother(host)],
    ['a missing key file', 78, 'keypair.json', (host) => writeFileSync(host.paths.keypair, '{}', { mode: 0o600 })],
  ]
  test.each(rows)('%s', async (_name, exitCode, says, spoil) => {
    const host = foundHome()
    spoil(host)
    const daemon = spawnDaemon(host)
    expect(await daemon.ended).toEqual({ code: exitCode, signal: null })
    expect(daemon.output).toContain(says)
    expect(daemon.output).toContain('->')
    expect(daemon.output).not.toMatch(/^\s+at /m)
    expect(existsSync(host.paths.socket)).toBe(false)
  })

  test('a damaged outbox is refused, named with the command that helps, and not touched', async () => {
    const host = foundHome()
    const first = await startDaemon(host)
    for (let n = 0; n < 50; n += 1) await ask(host, 'POST', '/v1/send', { to: '#a', message: 'x'.repeat(500) })
    first.signal('SIGTERM')
    await first.ended
    corrupt(host.paths.outboxDatabase)
    const damaged = readFileSync(host.paths.outboxDatabase)
    const daemon = spawnDaemon(host)
    expect(await daemon.ended).toEqual({ code: 65, signal: null })
    expect(daemon.output).toContain('claudemesh daemon restore')
    expect(lastExit(host)).toMatchObject({ code: 65, name: 'database_corrupt' })
    expect(readFileSync(host.paths.outboxDatabase).equals(damaged)).toBe(true)
  })

  test('an outbox of a newer version is refused', async () => {
    const host = foundHome()
    const first = await startDaemon(host)
    first.signal('SIGTERM')
    await first.ended
    const db = new Database(host.paths.outboxDatabase)
    db.prepare(`INSERT INTO schema_migration SELECT max(version) + 1, 'later', 0 FROM schema_migration`).run()
    db.close()
    const daemon = spawnDaemon(host)
    expect(await daemon.ended).toMatchObject({ code: 78 })
    expect(lastExit(host)).toMatchObject({ name: 'schema_too_new' })
    // Word of why it did not run is gone once it does.
    const repaired = new Database(host.paths.outboxDatabase)
    repaired.prepare(`DELETE FROM schema_migration WHERE name = 'later'`).run()
    repaired.close()
    await startDaemon(host)
    expect(existsSync(host.paths.lastExit)).toBe(false)
  })

  test('a max age beyond what the broker was known to remember', async () => {
    const host = foundHome()
    const { mesh, memberId } = host.meshFile
    const of = { mesh: { meshId: mesh.mesh_id, rootKey: mesh.root_key }, selfId: memberId }
    const members = Members.open({ path: host.paths.membersDatabase, runtime: systemRuntime(), ...of })
    members.saveNegotiated({ mode: 'retention_scoped', retentionDays: 7, inlineBytes: null })
    members.close()
    const daemon = spawnDaemon(host, { set: ['outbox.max_age_hours_override=145'] })
    expect((await daemon.ended).code).toBe(78)
    expect(daemon.output).toContain('outbox_max_age_above_dedupe_window')
    expect(daemon.output).toContain('at most 144')
    await startDaemon(host, { set: ['outbox.max_age_hours_override=144'] })
    expect((await healthOf(host))?.outbox.max_age_hours).toBe(144)
  })

  test('a mesh that there is not makes no directories', async () => {
    const host = foundHome()
    const daemon = spawnDaemon({ ...host, slug: 'hoem' })
    expect((await daemon.ended).code).toBe(78)
    expect(existsSync(`${host.home}/daemon/hoem`)).toBe(false)
  })

  test('a damaged inbox is moved aside, and the daemon runs and says so', async () => {
    const host = foundHome()
    writeFileSync(host.paths.inboxDatabase, Buffer.alloc(8192, 0xa5), { mode: 0o600 })
    await startDaemon(host)
    const health = await healthOf(host)
    expect(health?.conditions.map(({ code }) => code)).toContain('inbox_rebuilt')
    const moved = /(\S+inbox\.db\.corrupt-\S+)/.exec(JSON.stringify(health?.conditions))?.[1]?.replace(/[",].*/, '')
    expect(statSync(moved ?? '').size).toBe(8192)
  })
})

function writeConfig(host: TestHome, text: string): void {
  mkdirSync(dirname(host.paths.config), { recursive: true, mode: 0o700 })
  writeFileSync(host.paths.config, text)
}

function useKeysOfAnother(host: TestHome): void {
  writeKeyFile(host.paths.keypair, joinHome(host, { name: 'other' }).keys)
}

describe('the socket', () => {
  test('of a deep home is a short one, and sock.path leads there', async () => {
    const outer = foundHome()
    const directory = `${outer.home}/${'deep/'.repeat(25)}home`
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const host = foundHome({ directory })
    const runtime = `${outer.home}/run`
    mkdirSync(runtime, { mode: 0o700 })
    await startDaemon(host, { env: { XDG_RUNTIME_DIR: runtime } })
    expect(socketOf(host).startsWith(`${runtime}/claudemesh-`)).toBe(true)
    expect(statSync(socketOf(host)).mode & 0o777).toBe(0o600)
    expect((await healthOf(host))?.socket).toBe(socketOf(host))
  })

  test('that is not a socket is left alone', async () => {
    const host = foundHome()
    writeFileSync(host.paths.socket, 'precious', { mode: 0o600 })
    const daemon = spawnDaemon(host)
    expect((await daemon.ended).code).toBe(70)
    expect(daemon.output).toContain('is in the way')
    expect(readFileSync(host.paths.socket, 'utf8')).toBe('precious')
  })
})

describe('ending', () => {
  test('SIGTERM answers what waits, closes in order and exits 0 within 5 s', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const host = foundHome()
      const daemon = await startDaemon(host)
      const waiting = ask(host, 'POST', '/v1/send?wait=30000', { to: '#a', message: 'x', client_message_id: 'waits' })
      await eventually(
        'it waits',
        async () => ((await ask(host, 'GET', '/v1/outbox')).json as OutboxList).rows.length === 1,
      )
      const begun = performance.now()
      daemon.signal(signal)
      expect([(await waiting).status, (await waiting).json]).toMatchObject([202, { state: 'queued' }])
      expect(await daemon.ended).toEqual({ code: 0, signal: null })
      expect(performance.now() - begun).toBeLessThan(5_000)
      for (const path of [host.paths.socket, host.paths.pid, host.paths.lastExit, `${host.paths.outboxDatabase}-wal`]) {
        expect([path, existsSync(path)]).toEqual([path, false])
      }
    }
  })

  test('while it stops, new requests get 503 and the connection is closed', async () => {
    const host = foundHome()
    const daemon = await startDaemon(host)
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const socketPath = host.paths.socket
    // A request whose body never ends keeps the daemon waiting for as long as it lets itself wait.
    const open = http.request({
      socketPath,
      method: 'POST',
      path: '/v1/send',
      headers: { 'content-type': 'application/json' },
    })
    open.on('error', () => undefined)
    open.write('{')
    await eventually('it is in flight', async () =>
      (await ask(host, 'GET', '/v1/metrics')).text.includes('cm_daemon_http_inflight{transport="unix"} 2'),
    )
    daemon.signal('SIGTERM')
    const refused = await eventually('requests are refused', async () => {
      const answer = await ask(host, 'GET', '/v1/version')
      return answer.status === 503 && answer
    })
    expect(refused.json).toMatchObject({ code: 'shutting_down', retryable: true })
    expect(refused.headers.connection).toBe('close')
    expect(refused.headers['retry-after']).toBe('1')
    expect(await daemon.ended).toEqual({ code: 0, signal: null })
    agent.destroy()
  })

  test('a second signal ends it at once', async () => {
    const host = foundHome()
    const daemon = await startDaemon(host)
    const open = http.request({
      socketPath: host.paths.socket,
      method: 'POST',
      path: '/v1/send',
      headers: { 'content-type': 'application/json' },
    })
    open.on('error', () => undefined)
    open.write('{')
    await eventually('it is in flight', async () =>
      (await ask(host, 'GET', '/v1/metrics')).text.includes('cm_daemon_http_inflight{transport="unix"} 2'),
    )
    daemon.signal('SIGTERM')
    await eventually('it stops', async () => (await ask(host, 'GET', '/v1/version')).status === 503)
    const begun = performance.now()
    daemon.signal('SIGTERM')
    expect(await daemon.ended).toEqual({ code: 143, signal: null })
    expect(performance.now() - begun).toBeLessThan(1_000)
  })
})

describe('SIGHUP', () => {
  test('takes over what can be taken over; what cannot be used changes nothing and is told', async () => {
    const host = foundHome()
    const daemon = await startDaemon(host)
    const conditions = async () => (await healthOf(host))?.conditions.map(({ code }) => code) ?? []
    writeConfig(host, '[disk]\nbudget_bytes = 1048576000\n')
    daemon.signal('SIGHUP')
    await eventually('the budget is in force', async () => (await healthOf(host))?.disk.budget_bytes === 1_048_576_000)
    writeConfig(host, '[disk]\nbudget_byte = 1\n')
    daemon.signal('SIGHUP')
    await eventually('it says so', async () => (await conditions()).includes('config_reload_failed'))
    expect((await healthOf(host))?.disk.budget_bytes).toBe(1_048_576_000)
    writeConfig(host, '')
    daemon.signal('SIGHUP')
    await eventually('it is mended', async () => !(await conditions()).includes('config_reload_failed'))
    expect((await healthOf(host))?.disk.budget_bytes).toBe(null)
  })
})

describe('at rest', () => {
  test('the log in the foreground is stdout, one JSON document per line', async () => {
    const host = foundHome()
    const daemon = await startDaemon(host)
    const events = daemon.output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { event: string }).event)
    expect(events).toEqual(expect.arrayContaining(['daemon_starting', 'daemon_ready']))
    const detail = (await ask(host, 'GET', '/v1/outbox')).json as OutboxDetail
    expect(detail).toEqual({ rows: [], next: null })
  })
})
