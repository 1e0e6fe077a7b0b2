/** What each process loads is what its start costs: few files, and none that its work does not need. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { findFreePort } from '../support/mesh.ts'
import { CommandLine } from './command-line.ts'

const inBundle = /\/apps\/cli\/dist\/bundle\/[^/]+$/
/** Loads a library that is compiled for one machine, and finds it. */
const native = /\/node_modules\/(better-sqlite3|bindings|file-uri-to-path|@napi-rs\/blake-hash)\//
/** Some forty today, most of them the pieces of the CLI; it was one for each of 1,449 modules. */
const filesMax = 60

test('--version loads the entry and what it says', () => {
  const loaded = loadedBy(new CommandLine(), ['--version'])
  expect(loaded.map((file) => basename(file))).toEqual(['claudemesh.js', 'main.js', 'version.js'])
})

test('send loads nothing of daemon, broker or database', () => {
  const alice = new CommandLine()
  alice.json(['init', '--name', 'alice', '--broker', 'ws://127.0.0.1:9'])
  const loaded = loadedBy(alice, ['send', '--to', '@bob', 'hello'])
  const names = loaded.map((file) => basename(file))
  expect(names).toContain('send.js')
  expect(loaded.filter((file) => native.test(file))).toEqual([])
  for (const name of ['daemon.js', 'broker.js']) expect(names).not.toContain(name)
  expect(loaded.length).toBeLessThan(filesMax)
})

test('a daemon loads few files, and leaves what describes its routes until somebody asks', async () => {
  const alice = new CommandLine()
  alice.json(['init', '--name', 'alice', '--broker', `ws://127.0.0.1:${await findFreePort()}`])
  const start = ['daemon', 'start', '--foreground']
  const loaded = await loadedByProcess(alice, start, () => alice.run(['daemon', 'status']).status === 0)
  expectBundled(loaded, 'daemon.js')
  expect(loaded.filter((file) => /swagger|argon2/.test(file))).toEqual([])
})

test('a broker over its own database loads few files, and nothing that speaks to PostgreSQL', async () => {
  const home = new CommandLine()
  const start = ['broker', 'start', '--port', String(await findFreePort())]
  const loaded = await loadedByProcess(home, start, () => home.run(['broker', 'status']).status === 0)
  expectBundled(loaded, 'broker.js')
  expect(loaded.filter((file) => /postgres/.test(file))).toEqual([])
})

function expectBundled(loaded: readonly string[], name: string): void {
  expect(loaded.map((file) => basename(file))).toContain(name)
  expect(loaded.filter((file) => !inBundle.test(file) && !native.test(file)).map((file) => basename(file))).toEqual([
    'claudemesh.js',
  ])
  expect(loaded.length).toBeLessThan(filesMax)
}

function loadedBy(home: CommandLine, args: readonly string[]): string[] {
  const report = reportDirectory(home)
  home.run(args, { env: { NODE_V8_COVERAGE: report } })
  return readReport(report)
}

/** Starts a process that stays, waits until it works, and lets it end by itself. */
async function loadedByProcess(home: CommandLine, args: readonly string[], isUp: () => boolean): Promise<string[]> {
  const report = reportDirectory(home)
  const running = new ManagedProcess(args, { CLAUDEMESH_HOME: home.home, NODE_V8_COVERAGE: report })
  onTestFinished(() => running.signal('SIGKILL'))
  await eventually(`${args.join(' ')} is up`, async () => isUp())
  running.signal('SIGTERM')
  const { code } = await running.ended
  expect(code, running.output).toBe(0)
  return readReport(report)
}

function reportDirectory(home: CommandLine): string {
  const directory = join(home.home, 'report')
  mkdirSync(directory)
  return directory
}

/** The files that Node itself reports as executed. */
function readReport(directory: string): string[] {
  const [name, ...others] = readdirSync(directory)
  if (name === undefined || others.length > 0) throw new Error('one process writes one report')
  const { result } = JSON.parse(readFileSync(join(directory, name), 'utf8')) as { result: { url: string }[] }
  return result.map(({ url }) => url).filter((url) => url.startsWith('file:'))
}
