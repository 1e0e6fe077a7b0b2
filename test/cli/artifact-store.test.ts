/** The store of artifacts without a daemon: what it is, its tables, and the npm scripts of whoever works on it. */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { openRegistry } from '@claudemesh/artifacts'
import { daemonPaths } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { cleanEnvironment } from '../support/managed-process.ts'
import { emptyDatabase } from '../support/postgres.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { root } from '../tidy/sources.ts'
import { CommandLine, killIfThere } from './command-line.ts'

interface Migrated {
  readonly engine: string
  readonly previous_version: number
  readonly version: number
  readonly set_aside: string | null
}

function alone(): CommandLine {
  const line = new CommandLine()
  line.json(['init', '--broker', 'ws://127.0.0.1:9'])
  return line
}

function formerDatabases(line: CommandLine): readonly string[] {
  const { artifacts } = daemonPaths(line.home, 'home')
  return existsSync(artifacts) ? readdirSync(artifacts).filter((name) => name.includes('.former-')) : []
}

test('version says what is read and written, with no home at all', () => {
  const line = new CommandLine()
  expect(line.json(['artifact', 'version'])).toMatchObject({
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    manifest_version: 1,
    schema: expect.any(Number),
    algorithms: ['blake3', 'sha256'],
  })
  expect(line.run(['artifact', 'version']).stdout).toMatch(/^version +\d/)
})

describe('migrate', () => {
  test('makes the store where the daemon will look for it, and then finds nothing to do', () => {
    const line = alone()
    const made = line.json<Migrated>(['artifact', 'migrate'])
    expect(made).toMatchObject({ engine: 'sqlite', previous_version: 0, set_aside: null })
    expect(existsSync(daemonPaths(line.home, 'home').artifactsDatabase)).toBe(true)
    expect(line.run(['artifact', 'migrate']).stdout).toBe(`schema ${made.version}: nothing to do\n`)
  })

  test('is refused while the daemon runs', () => {
    const line = alone()
    line.startDaemon('home')
    for (const options of [[], ['--fresh']]) {
      const refused = line.problem(['artifact', 'migrate', ...options])
      expect(refused).toMatchObject({ code: 'already_running', exitCode: 75 })
      expect(refused.hint).toContain('claudemesh daemon stop')
    }
    expect(formerDatabases(line)).toEqual([])
  })

  test('is refused without a mesh', () => {
    expect(new CommandLine().problem(['artifact', 'migrate'])).toMatchObject({
      code: 'mesh_not_configured',
      exitCode: 78,
    })
  })

  test('--fresh sets a file aside, and a kill in the middle leaves it there', () => {
    const line = alone()
    line.json(['artifact', 'migrate'])
    const { set_aside } = line.json<Migrated>(['artifact', 'migrate', '--fresh'])
    expect(existsSync(set_aside ?? '')).toBe(true)
    const killed = line.run(['artifact', 'migrate', '--fresh'], {
      env: { CLAUDEMESH_CRASH_AT: 'artifacts.migrate.set_aside' },
    })
    expect(killed.status).toBe(null)
    expect(formerDatabases(line).length).toBe(2)
    expect(line.json<Migrated>(['artifact', 'migrate'])).toMatchObject({ previous_version: 0 })
  })

  test('--fresh on PostgreSQL asks for --yes, and drops nothing without it', async () => {
    const line = alone()
    const databaseUrl = await emptyDatabase()
    const env = { CLAUDEMESH_ARTIFACTS_DATABASE_URL: databaseUrl }
    expect(line.json<Migrated>(['artifact', 'migrate'], { env })).toMatchObject({ engine: 'postgres' })
    const registryId = () => idOf(databaseUrl)
    const before = await registryId()
    const refused = line.problem(['artifact', 'migrate', '--fresh'], { env })
    expect(refused).toMatchObject({ code: 'invalid_usage', exitCode: 64 })
    expect(refused.hint).toContain('--yes')
    expect(await registryId()).toBe(before)
    line.json(['artifact', 'migrate', '--fresh', '--yes'], { env })
    expect(await registryId()).not.toBe(before)
  })
})

async function idOf(databaseUrl: string): Promise<string> {
  const registry = await openRegistry({ databaseUrl, storageRoot: join(scratchDirectory(), 'objects') })
  await registry.close()
  return registry.registryId
}

test('health needs a daemon, and says how to start it', () => {
  const refused = alone().problem(['artifact', 'health'])
  expect(refused).toMatchObject({ code: 'daemon_unreachable', exitCode: 69 })
  expect(refused.hint).toContain('claudemesh daemon start')
})

test('health of a store that nobody has used yet is well', () => {
  const line = alone()
  line.startDaemon('home')
  expect(line.json(['artifact', 'health'])).toMatchObject({
    status: 'ok',
    database: { engine: 'sqlite', healthy: true },
  })
})

test('health of a store whose database cannot be had is down, and exits with 1', () => {
  const line = alone()
  const started = line.run(['daemon', 'start'], {
    env: { CLAUDEMESH_ARTIFACTS_DATABASE_URL: 'postgres://127.0.0.1:9/none' },
  })
  expect(started.status).toBe(0)
  onTestFinished(() => void line.run(['daemon', 'stop']))
  const { status, stdout } = line.run(['artifact', 'health', '--json'])
  expect(status).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({ status: 'down', database: { engine: 'postgres', healthy: false } })
})

describe('npm run', () => {
  const scripts = (home: string) => ({ cwd: root, env: { ...cleanEnvironment(), CLAUDEMESH_HOME: home } })

  test('migrate and migrate:fresh make a store in a new home', () => {
    const line = new CommandLine()
    execFileSync('npm', ['run', '--silent', 'migrate'], scripts(line.home))
    const output = execFileSync('npm', ['run', '--silent', 'migrate:fresh'], {
      ...scripts(line.home),
      encoding: 'utf8',
    })
    expect(output).toMatch(/the former database is .*\nschema \d+ on sqlite\n$/)
    expect(formerDatabases(line).length).toBe(1)
  })

  test('dev runs a daemon on its socket until it is told to stop', async () => {
    const line = new CommandLine()
    const child = spawn('npm', ['run', '--silent', 'dev'], { ...scripts(line.home), stdio: 'ignore' })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    onTestFinished(() => void child.kill('SIGKILL'))
    const status = () =>
      JSON.parse(line.run(['daemon', 'status', '--json']).stdout) as { running: boolean; pid: number }
    await eventually('the daemon is there', () => line.run(['daemon', 'status']).status === 0)
    onTestFinished(() => killIfThere(JSON.parse(line.run(['broker', 'status', '--json']).stdout).pid))
    expect(line.json(['artifact', 'health'])).toMatchObject({ status: 'ok', database: { engine: 'sqlite' } })
    expect(line.json(['daemon', 'stop'])).toMatchObject({ outcome: 'stopped' })
    await ended
    expect(child.exitCode).toBe(0)
    expect(status().running).toBe(false)
  })
})
