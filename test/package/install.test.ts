/** The package as a user gets it: made from this checkout, installed from the file alone, used from an empty home. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { commandTree } from '../../apps/cli/src/command-tree.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(root, 'apps/cli/package.json'), 'utf8')) as { version: string }
/** Where the build of better-sqlite3 does not fit, it is fetched or compiled. */
const installMsMax = 600_000

describe('the package', () => {
  let prefix = ''
  let program = ''

  beforeAll(() => {
    succeed(spawnSync(process.execPath, ['scripts/pack.mjs'], { cwd: root, encoding: 'utf8' }))
    prefix = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
    const tarball = join(root, 'release', `claudemesh-${version}.tgz`)
    const args = ['install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', tarball]
    const env = { ...process.env, npm_config_better_sqlite3_local_prebuilds: packSqlite(prefix) }
    succeed(spawnSync('npm', args, { cwd: prefix, env, encoding: 'utf8' }))
    program = join(prefix, 'bin/claudemesh')
  }, installMsMax)

  afterAll(() => rmSync(prefix, { recursive: true, force: true }))

  /** What a user types, where nothing of this checkout can be found. */
  function claudemesh(home: string, ...args: readonly string[]) {
    const env = {
      PATH: [join(prefix, 'bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter),
      HOME: home,
      CLAUDEMESH_HOME: join(home, '.claudemesh'),
    }
    return spawnSync(program, args, { cwd: home, env, encoding: 'utf8' })
  }

  test('tells its version', () => {
    const { status, stdout } = claudemesh(prefix, '--version')
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${version}\n` })
  })

  test('sends and receives a first message from an empty home', () => {
    const home = scratchDirectory()
    onTestFinished(() => void claudemesh(home, 'daemon', 'stop'))
    succeed(claudemesh(home, 'init', '--name', 'alice'))
    succeed(claudemesh(home, 'daemon', 'start'))
    succeed(claudemesh(home, 'send', '--to', '@alice', '--wait', 'delivered', 'hello'))
    const inbox = JSON.parse(succeed(claudemesh(home, 'inbox', '--json'))) as { messages: { message: string }[] }
    expect(inbox.messages.map(({ message }) => message)).toEqual(['hello'])
    expect(JSON.parse(succeed(claudemesh(home, 'daemon', 'status', '--json')))).toMatchObject({
      versions: { daemon: version },
    })
    succeed(claudemesh(home, 'daemon', 'stop'))
  })

  test('opens every kind of store that it brings migrations for', () => {
    const home = scratchDirectory()
    succeed(claudemesh(home, 'init', '--name', 'alice'))
    expect(succeed(claudemesh(home, 'artifact', 'migrate'))).not.toBe('')
  })

  test('brings the licence of every package that is within its bundle', () => {
    const installed = join(prefix, 'lib/node_modules/claudemesh')
    const notices = readFileSync(join(installed, 'THIRD-PARTY-LICENSES.md'), 'utf8')
    for (const name of ['ws', 'fastify', 'pg', 'typebox', 'pino']) expect(notices).toContain(`\n## ${name} `)
    expect(existsSync(join(installed, 'LICENSE'))).toBe(true)
  })

  test('brings a man page that tells every command and that man reads without a complaint', () => {
    const page = join(prefix, 'share/man/man1/claudemesh.1')
    const told = new Set(
      [...readFileSync(page, 'utf8').matchAll(/^\.SS claudemesh ([a-z\\ -]*[a-z])/gm)].map(([, words]) => words),
    )
    expect(told.size).toBe(commandTree.length)
    const { error, stderr } = spawnSync('groff', ['-man', '-ww', '-z', '-Tutf8', page], { encoding: 'utf8' })
    if (error === undefined) expect(stderr).toBe('')
    else console.log('there is no groff here that reads the man page')
  })

  test('has nothing in it that runs only here', () => {
    const bundle = join(prefix, 'lib/node_modules/claudemesh/apps/cli/dist/bundle')
    for (const file of readdirSync(bundle)) expect(readFileSync(join(bundle, file), 'utf8')).not.toContain(root)
  })
})

describe('the package of the client', () => {
  test('is all that a program needs, with the types that it is checked with', () => {
    const project = mkdtempSync(join(tmpdir(), 'claudemesh-test-'))
    onTestFinished(() => rmSync(project, { recursive: true, force: true }))
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
    const tarball = join(root, 'release', `claudemesh-client-${version}.tgz`)
    succeed(spawnSync('npm', ['install', '--no-audit', '--no-fund', tarball], { cwd: project, encoding: 'utf8' }))
    symlinkSync(join(root, 'node_modules/@types'), join(project, 'node_modules/@types'))
    writeFileSync(join(project, 'program.ts'), program)
    const types = ['--module', 'nodenext', '--target', 'es2023', '--strict', '--types', 'node']
    const tsc = join(root, 'node_modules/.bin/tsc')
    succeed(spawnSync(tsc, [...types, 'program.ts'], { cwd: project, encoding: 'utf8' }))
    const env = { PATH: dirname(process.execPath), CLAUDEMESH_HOME: project }
    const printed = succeed(spawnSync(process.execPath, ['program.js'], { cwd: project, env, encoding: 'utf8' }))
    expect(printed).toBe('daemon_unreachable true\n')
  })

  const program = `
    import { MeshError, openClient, type SendResponse } from '@claudemesh/client'
    const client = openClient({ home: process.env['CLAUDEMESH_HOME'] ?? '', mesh: 'home' })
    try {
      const sent: SendResponse = await client.send({ to: '@reviewer', message: 'hi' })
      console.log(sent.state)
    } catch (error) {
      if (error instanceof MeshError) console.log(error.code, error.retryable)
    }
  `
})

/**
 * What was compiled for this checkout, as the install script of better-sqlite3 would fetch it: to compile it once more takes
 * a minute, and shows nothing about the package. @returns the directory
 */
function packSqlite(prefix: string): string {
  const directory = join(prefix, 'prebuilds')
  mkdirSync(directory)
  const from = dirname(createRequire(import.meta.url).resolve('better-sqlite3/package.json'))
  const { version } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { version: string }
  const { modules } = process.versions
  const name = `better-sqlite3-v${version}-node-v${modules}-${process.platform}-${process.arch}.tar.gz`
  succeed(
    spawnSync('tar', ['-czf', join(directory, name), '-C', from, 'build/Release/better_sqlite3.node'], {
      encoding: 'utf8',
    }),
  )
  return directory
}

/** @returns what it printed */
function succeed({ status, stdout, stderr }: SpawnSyncReturns<string>): string {
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}\n${stdout}`)
  return stdout
}
