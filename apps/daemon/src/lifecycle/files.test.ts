import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { daemonPaths, MeshError } from '@claudemesh/protocol'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { Closing } from './closing.ts'
import { departureOf, departureOfClose, forgetDeparture, recordDeparture } from './exit.ts'
import { LocalToken } from './local-token.ts'
import { settleSocketPath } from './socket-path.ts'
import { StorageWatch } from './storage-watch.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/cm-life-`)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('the socket path', () => {
  const deep = () => {
    const paths = daemonPaths(`${directory}/${'d'.repeat(90)}`, 'home')
    mkdirSync(paths.directory, { recursive: true, mode: 0o700 })
    return paths
  }

  test('is in the directory of the daemon when it is short enough, and an old sock.path goes', () => {
    const paths = daemonPaths(directory, 'home')
    mkdirSync(paths.directory, { recursive: true, mode: 0o700 })
    writeFileSync(paths.socketPath, '/somewhere/else\n')
    expect(settleSocketPath({ paths, runtimeDirectory: null })).toBe(paths.socket)
    expect(existsSync(paths.socketPath)).toBe(false)
  })

  test('is a short one below the runtime directory otherwise, private, and sock.path says where', () => {
    const paths = deep()
    const runtimeDirectory = `${directory}/run`
    mkdirSync(runtimeDirectory, { mode: 0o700 })
    const path = settleSocketPath({ paths, runtimeDirectory })
    expect(path.startsWith(`${runtimeDirectory}/claudemesh-`)).toBe(true)
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(103)
    expect(statSync(path.slice(0, -'/sock'.length)).mode & 0o777).toBe(0o700)
    expect(readFileSync(paths.socketPath, 'utf8')).toBe(`${path}\n`)
    expect(statSync(paths.socketPath).mode & 0o777).toBe(0o600)
    expect(settleSocketPath({ paths, runtimeDirectory })).toBe(path)
  })

  test('is refused when somebody else can look into its directory, and when no path is short enough', () => {
    const paths = deep()
    const path = settleSocketPath({ paths, runtimeDirectory: directory })
    chmodSync(path.slice(0, -'/sock'.length), 0o755)
    const settle = (runtimeDirectory: string) => () => settleSocketPath({ paths, runtimeDirectory })
    expect(settle(directory)).toThrow(expect.objectContaining({ code: 'unsafe_permissions' }))
    expect(settle(`${directory}/${'r'.repeat(100)}`)).toThrow(expect.objectContaining({ code: 'start_failed' }))
  })
})

describe('the local token', () => {
  const open = (path: string) => LocalToken.open(path, new ManualRuntime())

  test('is made once, private, and kept', () => {
    const path = `${directory}/local_token`
    const [token = ''] = open(path).accepted()
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(open(path).accepted()).toEqual([token])
  })

  test('is refused when others can read it, and when it is none', () => {
    const path = `${directory}/local_token`
    open(path)
    chmodSync(path, 0o644)
    expect(() => open(path)).toThrow(expect.objectContaining({ code: 'unsafe_permissions' }))
    writeFileSync(path, 'short\n')
    chmodSync(path, 0o600)
    expect(() => open(path)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
  })

  test('is replaced on the disk and in force, and the one before is good for a minute', () => {
    const path = `${directory}/local_token`
    const runtime = new ManualRuntime()
    const token = LocalToken.open(path, runtime)
    const [first] = token.accepted()
    expect(token.rotate()).toEqual({ previousExpiresAt: runtime.time + 60_000 })
    const [second] = token.accepted()
    expect(readFileSync(path, 'utf8')).toBe(`${second}\n`)
    expect(token.accepted()).toEqual([second, first])
    runtime.advance(30_000)
    token.rotate()
    const [third] = token.accepted()
    expect(token.accepted()).toEqual([third, second, first])
    runtime.advance(30_000)
    expect(token.accepted()).toEqual([third, second])
    runtime.advance(30_000)
    expect(token.accepted()).toEqual([third])
  })

  test('stays as it is when the new one cannot be written', () => {
    const path = `${directory}/sub/local_token`
    mkdirSync(`${directory}/sub`, { mode: 0o700 })
    const token = open(path)
    const before = token.accepted()
    rmSync(`${directory}/sub`, { recursive: true })
    expect(() => token.rotate()).toThrow()
    expect(token.accepted()).toEqual(before)
  })
})

describe('leaving', () => {
  test('every reason has its exit code, and a remedy', () => {
    const rows: [error: unknown, exitCode: number, name: string][] = [
      [new MeshError('already_running'), 75, 'already_running'],
      [new MeshError('config_invalid'), 78, 'config_invalid'],
      [new MeshError('outbox_max_age_above_dedupe_window'), 78, 'outbox_max_age_above_dedupe_window'],
      [new MeshError('mesh_not_configured'), 78, 'mesh_not_configured'],
      [new MeshError('unsafe_permissions'), 77, 'unsafe_permissions'],
      [new MeshError('database_corrupt'), 65, 'database_corrupt'],
      [new MeshError('schema_too_new'), 78, 'schema_too_new'],
      [new MeshError('sqlite_unsafe'), 70, 'sqlite_unsafe'],
      [new MeshError('storage_failed'), 74, 'storage_failed'],
      [new Error('a bug'), 70, 'start_failed'],
    ]
    for (const [error, exitCode, name] of rows) {
      const departure = departureOf(error)
      expect([departure.exitCode, departure.name]).toEqual([exitCode, name])
      expect(departure.remedy).not.toBe('')
    }
    expect(departureOf(new MeshError('database_corrupt')).remedy).toContain('claudemesh daemon restore')
    const closes: [code: number, name: string, exitCode: number][] = [
      [4005, 'member_revoked', 77],
      [4010, 'feature_unavailable', 69],
      [4011, 'feature_param_invalid', 69],
      [4012, 'feature_param_below_floor', 69],
    ]
    for (const [code, name, exitCode] of closes) {
      const departure = departureOfClose({ code, name, reason: 'why' })
      expect(departure).toMatchObject({ exitCode, name, reason: expect.stringContaining(`${code} ${name}: why`) })
    }
  })

  test('leaves word, which the next start that succeeds takes away', () => {
    const path = `${directory}/last-exit.json`
    recordDeparture(path, departureOf(new MeshError('config_invalid', { detail: 'why' })), 7)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      at: 7,
      code: 78,
      name: 'config_invalid',
      reason: 'why',
    })
    forgetDeparture(path)
    forgetDeparture(path)
    expect(existsSync(path)).toBe(false)
    expect(() => recordDeparture(`${directory}/gone/last-exit.json`, departureOf(null), 7)).not.toThrow()
  })
})

test('what was opened is closed in reverse, and a step that fails holds back no other', async () => {
  const closed: string[] = []
  const closing = new Closing()
  for (const name of ['lock', 'outbox', 'link']) {
    closing.add(name, async () => {
      closed.push(name)
      if (name === 'outbox') throw new Error('it did not close')
    })
  }
  await closing.run(pino({ level: 'silent' }))
  expect(closed).toEqual(['link', 'outbox', 'lock'])
  await closing.run(null)
  expect(closed).toHaveLength(3)
})

test('a broken store is told of once, with its name', () => {
  const told: string[] = []
  const stores = { outbox: { broken: false }, inbox: { broken: false } }
  const watch = new StorageWatch({ stores, onBroken: (store) => told.push(store) })
  watch.check()
  stores.inbox.broken = true
  watch.check()
  watch.check()
  expect(told).toEqual(['inbox'])
})
