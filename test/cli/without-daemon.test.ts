/** What the command line does by itself: no daemon runs in any of these. */
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { importSigningKeyPair } from '@claudemesh/identity'
import { daemonPaths, meshFilePath } from '@claudemesh/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CommandLine } from './command-line.ts'

interface Founded {
  readonly mesh: string
  readonly member_id: string
  readonly broker_url: string
}

describe('the version', () => {
  for (const option of ['--version', '-V']) {
    test(`${option} prints the version of the package`, () => {
      const manifest = readFileSync(new URL('../../apps/cli/package.json', import.meta.url), 'utf8')
      const { status, stdout } = new CommandLine().run([option])
      expect({ status, stdout }).toEqual({ status: 0, stdout: `${JSON.parse(manifest).version}\n` })
    })
  }
})

const usageErrors: readonly { args: readonly string[]; says: RegExp }[] = [
  { args: ['frobnicate'], says: /no command frobnicate/ },
  { args: ['sned', 'x'], says: /did you mean send\?/ },
  { args: ['--verbose'], says: /no option --verbose/ },
  { args: ['whoami', '--bogus'], says: /unknown option '--bogus'/ },
  { args: ['whoami', 'extra'], says: /too many arguments/ },
  { args: ['send', 'text'], says: /--to is missing/ },
  { args: ['send', '--to'], says: /argument missing/ },
  { args: ['send', '--to', '@x'], says: /the message is missing/ },
  { args: ['send', '--to', '@x', '--wait', 'sent', 'text'], says: /--wait takes queued, accepted, delivered, read/ },
  { args: ['send', '--to', '@x', '--timeout', '31', 'text'], says: /--timeout takes a whole number from 0 to 30/ },
  { args: ['send', '--to', '@x', '--meta', 'novalue', 'text'], says: /--meta takes key=value/ },
  { args: ['send', '--to', '@x', '--file', '/nonexistent'], says: /cannot read \/nonexistent/ },
  { args: ['send', '--to', '@x', '--file', '/dev/null', 'text'], says: /given twice/ },
  { args: ['inbox', '--limit', '0'], says: /--limit/ },
  { args: ['tail', '--types', 'messages'], says: /--types has messages/ },
  { args: ['invite', 'create', '--uses', 'many'], says: /--uses/ },
  { args: ['join'], says: /the token is missing/ },
  { args: ['queue', 'consume'], says: /missing required argument/ },
  { args: ['queue', 'consume', 'jobs', '--lease', '13h', '--', 'true'], says: /--lease takes from 1s to 12h/ },
  { args: ['queue', 'consume', 'jobs', '--concurrency', '0', '--', 'true'], says: /--concurrency/ },
  { args: ['queue', 'consume', 'jobs', '--concurrency', '2'], says: /--concurrency is about commands/ },
  { args: ['queue', 'ack', 'x'], says: /--lease is missing/ },
  { args: ['queue', 'nack', 'x', '--lease', 'y', '--delay', 'soon'], says: /--delay takes a duration/ },
  { args: ['queue', 'dead', 'drop', 'jobs'], says: /by their ids, or all of them with --all/ },
  { args: ['queue', 'dead', 'drop', 'jobs', '--all'], says: /add --confirm|never done/ },
  { args: ['queue', 'dead', 'requeue', 'jobs', 'x', '--all'], says: /by their ids, or all of them with --all/ },
  { args: ['daemon', 'start', '--set', 'x'], says: /--set takes key=value/ },
  { args: ['daemon', 'backup'], says: /--out is missing/ },
  { args: ['daemon', 'backup', '--out', '/nonexistent/x'], says: /the passphrase is empty/ },
  { args: ['daemon', 'backup', '--out', 'x', '--passphrase', 'secret'], says: /unknown option/ },
  {
    args: ['broker', 'backup', '--data', '/nonexistent', '--out', 'x'],
    says: /no database of a broker[\s\S]*with --data/,
  },
  { args: ['daemon', 'restore'], says: /--in is missing/ },
  { args: ['daemon', 'restore', '--in', '/nonexistent'], says: /cannot read \/nonexistent/ },
  { args: ['member', 'revoke'], says: /missing required argument/ },
  { args: ['invite', 'revoke'], says: /missing required argument/ },
  { args: ['daemon', 'outbox', 'prune'], says: /add --confirm|removes messages/ },
  { args: ['daemon', 'outbox', 'show', 'a', '--id', 'b'], says: /named twice/ },
  { args: ['whoami', '--mesh', '../escape'], says: /is no slug/ },
]

describe('a command line that is wrong', () => {
  const line = new CommandLine(afterAll)
  beforeAll(() => void line.json(['init']))

  for (const { args, says } of usageErrors) {
    test(`exits with 64 and says why and where to look: ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = line.run(args)
      expect(status).toBe(64)
      expect(stdout).toBe('')
      expect(stderr).toMatch(says)
      expect(stderr).toMatch(/^error: .*\n(?: {2}.*\n)* {2}-> .*\n$/)
    })
  }

  test('is told the help of its own command, also for what an option takes', () => {
    const { stderr } = line.run(['send', '--to', '@x', '--wait', 'sent', 'text'])
    expect(stderr).toContain('-> See `claudemesh send --help`.')
  })

  test('is a problem document on stderr with --json', () => {
    expect(line.problem(['send', 'text'])).toMatchObject({ code: 'invalid_usage', exitCode: 64, retryable: false })
  })

  test('shows the help of a group on stderr when its command is missing', () => {
    const { status, stdout, stderr } = new CommandLine().run(['daemon', 'outbox'])
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' })
    expect(stderr).toContain('requeue')
  })
})

describe('help', () => {
  const calls = [
    ['--help'],
    ['help'],
    ['send', '--help'],
    ['help', 'daemon', 'start'],
    ['daemon', '--help'],
    ['inbox', '-h'],
  ]
  const line = new CommandLine(afterAll)
  for (const args of calls) {
    test(`${args.join(' ')} is printed on stdout, with the way to use it`, () => {
      const { status, stdout, stderr } = line.run(args)
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(stdout).toMatch(/^Usage: claudemesh/)
    })
  }

  test('has examples', () => {
    expect(line.run(['--help']).stdout).toContain('Examples:')
    expect(line.run(['send', '--help']).stdout).toContain('claudemesh send --to @reviewer "build is green"')
  })
})

describe('colour', () => {
  const escapeSequence = '\u001b['
  test('is not in what is piped, unless it is forced, and never with NO_COLOR or --no-color', () => {
    const line = new CommandLine()
    const error = (args: readonly string[], env: Record<string, string>) => line.run(args, { env }).stderr
    expect(error(['frobnicate'], { NO_COLOR: '' })).not.toContain(escapeSequence)
    expect(error(['frobnicate'], { NO_COLOR: '', FORCE_COLOR: '1' })).toContain(escapeSequence)
    expect(error(['frobnicate'], { NO_COLOR: '1', FORCE_COLOR: '1' })).not.toContain(escapeSequence)
    expect(error(['frobnicate', '--no-color'], { NO_COLOR: '', FORCE_COLOR: '1' })).not.toContain(escapeSequence)
  })
})

describe('init', () => {
  test('makes a home that is nobody else’s, and says what comes next', () => {
    const line = new CommandLine()
    const { status, stdout } = line.run(['init', '--name', 'alice'])
    expect(status).toBe(0)
    expect(stdout).toContain('claudemesh daemon start')
    const paths = daemonPaths(line.home, 'home')
    for (const directory of [line.home, join(line.home, 'meshes'), join(line.home, 'daemon'), paths.directory]) {
      expect(statSync(directory).mode & 0o777, directory).toBe(0o700)
    }
    for (const file of [meshFilePath(line.home, 'home'), paths.keypair]) {
      expect(statSync(file).mode & 0o777, file).toBe(0o600)
    }
  })

  test('a second time is refused with what to do, and changes nothing', () => {
    const line = new CommandLine()
    line.json(['init'])
    const keypair = readFileSync(daemonPaths(line.home, 'home').keypair, 'utf8')
    expect(line.problem(['init'])).toMatchObject({
      code: 'mesh_exists',
      exitCode: 73,
      hint: expect.stringContaining('--mesh'),
    })
    expect(readFileSync(daemonPaths(line.home, 'home').keypair, 'utf8')).toBe(keypair)
  })

  test('killed between keys and mesh file can be repeated', () => {
    const line = new CommandLine()
    line.json(['init'])
    // What such a kill leaves: keys that belong to no member.
    rmSync(meshFilePath(line.home, 'home'))
    const founded = line.json<Founded>(['init'])
    expect(line.json(['whoami'])).toMatchObject({ member_id: founded.member_id })
  })

  test('takes the broker that it is told, and completes its path', () => {
    const founded = new CommandLine().json<Founded>(['init', '--broker', 'wss://mesh.example.org'])
    expect(founded).toMatchObject({ broker_url: 'wss://mesh.example.org/v1/ws', broker_local: false })
  })

  test('gives all local meshes of a home the same broker', () => {
    const line = new CommandLine()
    const one = line.json<Founded>(['init'])
    const other = line.json<Founded>(['mesh', 'create', 'team'])
    expect(other.broker_url).toBe(one.broker_url)
    expect(other.member_id).not.toBe(one.member_id)
  })

  const refused: readonly { args: readonly string[]; code: string; exitCode: number }[] = [
    { args: ['--broker', 'https://mesh.example.org'], code: 'config_invalid', exitCode: 78 },
    { args: ['--name', 'Not A Name'], code: 'invalid_request', exitCode: 65 },
    { args: ['--mesh', 'No/Slug'], code: 'invalid_usage', exitCode: 64 },
  ]
  for (const { args, code, exitCode } of refused) {
    test(`refuses ${args.join(' ')} and leaves nothing behind`, () => {
      const line = new CommandLine()
      expect(line.problem(['init', ...args])).toMatchObject({ code, exitCode })
      expect(line.json<{ meshes: unknown[] }>(['mesh', 'list']).meshes).toEqual([])
    })
  }
})

describe('the root key of a mesh', () => {
  test('goes to a new file of its own, readable by its owner alone, or to stdout when that is said', () => {
    const line = new CommandLine()
    line.json(['init', '--mesh', 'team'])
    const out = join(line.home, 'root.json')
    const ran = line.run(['mesh', 'root', 'export', '--out', out])
    expect({ status: ran.status, stderr: ran.stderr }).toEqual({ status: 0, stderr: '' })
    expect(statSync(out).mode & 0o777).toBe(0o600)
    const written = JSON.parse(readFileSync(out, 'utf8')) as { mesh: { root_key: string }; root_seed: string }
    expect(ran.stdout).not.toContain(written.root_seed)
    const pair = importSigningKeyPair(Buffer.from(written.root_seed, 'base64url'))
    expect(pair.publicKey).toBe(written.mesh.root_key)
    expect(JSON.parse(line.run(['mesh', 'root', 'export', '--out', '-']).stdout)).toEqual(written)
    expect(line.json(['mesh', 'root', 'export', '--out', '-'])).toEqual(written)
  })

  test('is not printed unasked, and nothing is written over', () => {
    const line = new CommandLine()
    line.json(['init'])
    const out = join(line.home, 'taken')
    writeFileSync(out, 'mine')
    for (const args of [[], ['--out', out], ['--out', join(line.home, 'no', 'such', 'directory')]]) {
      const ran = line.run(['mesh', 'root', 'export', ...args])
      expect({ status: ran.status, stdout: ran.stdout }).toEqual({ status: 64, stdout: '' })
    }
    expect(readFileSync(out, 'utf8')).toBe('mine')
  })

  test('is on the host alone where the mesh was made', () => {
    const [owner, other] = [new CommandLine(), new CommandLine()]
    owner.json(['init'])
    const { token } = owner.json<{ token: string }>(['invite', 'create'])
    other.json(['join', '-', '--name', 'bob'], { input: token })
    expect(other.problem(['mesh', 'root', 'export', '--out', '-'])).toMatchObject({ code: 'not_admin', exitCode: 77 })
  })
})

describe('joining', () => {
  const founder = new CommandLine(afterAll)
  beforeAll(() => void founder.json(['init', '--mesh', 'team', '--name', 'alice']))

  function invite(...options: readonly string[]): string {
    const { token } = founder.json<{ token: string }>(['invite', 'create', ...options])
    return token
  }

  test('takes the token from an argument, from stdin or from a file', () => {
    const token = invite('--uses', '3')
    const file = new CommandLine()
    writeFileSync(join(file.home, 'token'), `${token}\n`)
    const joined = [
      new CommandLine().json(['join', token, '--name', 'bob']),
      new CommandLine().json(['join', '-', '--name', 'bob'], { input: `${token}\n` }),
      file.json(['join', '--token-file', join(file.home, 'token'), '--name', 'bob']),
    ]
    for (const one of joined) expect(one).toMatchObject({ mesh: 'team', name: 'bob' })
  })

  test('prints the token alone on stdout, so that it can be piped', () => {
    const { stdout, stderr } = founder.run(['invite', 'create'])
    expect(stdout).toMatch(/^cm1[A-Za-z0-9_-]+\n$/)
    expect(stderr).toContain('claudemesh join')
    expect(stderr).not.toContain('cm1')
  })

  test('lists the invites without their tokens', () => {
    const token = invite('--role', 'admin', '--uses', '2')
    const { stdout } = founder.run(['invite', 'list', '--json'])
    expect(JSON.parse(stdout).invites.at(-1)).toMatchObject({ role: 'admin', uses: 2, expired: false })
    expect(stdout).not.toContain(token.slice(3, 40))
  })

  test('gives the mesh the local name that was asked for', () => {
    const token = invite()
    const line = new CommandLine()
    line.json(['join', token, '--mesh', 'work', '--name', 'bob'])
    expect(line.json(['whoami'])).toMatchObject({ mesh: 'work', name: 'bob', role: 'member' })
  })

  test('refuses a damaged token without repeating any of it', () => {
    const token = invite()
    const line = new CommandLine()
    const damaged = `${token.slice(0, 60)}${token.slice(61)}`
    const { status, stderr } = line.run(['join', damaged])
    expect(status).toBe(65)
    expect(stderr).not.toContain(token.slice(3, 30))
  })

  test('refuses an expired invite', () => {
    const token = invite('--expires', '0s')
    expect(new CommandLine().problem(['join', token])).toMatchObject({ code: 'invite_expired', exitCode: 77 })
  })

  test('does not let a member invite', () => {
    const token = invite()
    const line = new CommandLine()
    line.json(['join', token, '--name', 'bob'])
    expect(line.problem(['invite', 'create'])).toMatchObject({ code: 'not_admin', exitCode: 77 })
  })
})

describe('whoami', () => {
  test('needs no daemon', () => {
    const line = new CommandLine()
    const founded = line.json<Founded>(['init', '--name', 'alice'])
    expect(line.json(['whoami'])).toMatchObject({
      name: 'alice',
      member_id: founded.member_id,
      role: 'admin',
      mesh: 'home',
      home: line.home,
    })
  })

  test('says what to do in an empty home', () => {
    const { status, stderr } = new CommandLine().run(['whoami'])
    expect(status).toBe(78)
    expect(stderr).toContain('claudemesh init')
  })

  test('refuses files that others can read, with the command that mends it', () => {
    const line = new CommandLine()
    line.json(['init'])
    chmodSync(meshFilePath(line.home, 'home'), 0o644)
    const { status, stderr } = line.run(['whoami'])
    expect(status).toBe(77)
    expect(stderr).toContain('chmod 600')
  })
})

describe('the mesh that a command acts in', () => {
  test('is the one that is named, else the only one, else home', () => {
    const line = new CommandLine()
    line.json(['init', '--mesh', 'team'])
    expect(line.json(['whoami'])).toMatchObject({ mesh: 'team' })
    line.json(['init', '--mesh', 'home'])
    expect(line.json(['whoami'])).toMatchObject({ mesh: 'home' })
    expect(line.json(['whoami'], { env: { CLAUDEMESH_MESH: 'team' } })).toMatchObject({ mesh: 'team' })
    expect(line.json(['--mesh', 'home', 'whoami'], { env: { CLAUDEMESH_MESH: 'team' } })).toMatchObject({
      mesh: 'home',
    })
  })

  test('must be named when there are several and none is called home', () => {
    const line = new CommandLine()
    line.json(['init', '--mesh', 'one'])
    line.json(['init', '--mesh', 'two'])
    expect(line.problem(['whoami'])).toMatchObject({ code: 'mesh_not_configured', meshes: ['one', 'two'] })
  })
})

describe('a daemon that is down', () => {
  const line = new CommandLine(afterAll)
  beforeAll(() => void line.json(['init']))

  const verbs = [
    ['send', '--to', '@x', 'text'],
    ['inbox'],
    ['tail'],
    ['peers'],
    ['topic', 'list'],
    ['daemon', 'outbox', 'list'],
  ]
  for (const args of verbs) {
    test(`${args[0]} says so, names the command that starts it, and exits with 69`, () => {
      const { status, stdout, stderr } = line.run(args)
      expect({ status, stdout }).toEqual({ status: 69, stdout: '' })
      expect(stderr).toContain('claudemesh daemon start')
    })
  }

  test('is told of with the reason that it left behind', () => {
    const lastExit = {
      at: 1,
      code: 69,
      name: 'feature_unavailable',
      reason: 'no dedupe here',
      remedy: 'Upgrade the broker.',
    }
    writeFileSync(daemonPaths(line.home, 'home').lastExit, JSON.stringify(lastExit))
    const problem = line.problem(['inbox'])
    expect(problem.detail).toContain('no dedupe here')
    expect(problem.hint).toContain('Upgrade the broker.')
    const { status, stdout } = line.run(['daemon', 'status', '--json'])
    expect(status).toBe(69)
    expect(JSON.parse(stdout)).toMatchObject({ running: false, mesh: 'home', pid: null, last_exit: lastExit })
  })

  test('is no failure to stop', () => {
    expect(line.json(['daemon', 'stop'])).toMatchObject({ outcome: 'not_running' })
  })
})

describe('the configuration', () => {
  test('is shown with where each value comes from', () => {
    const line = new CommandLine()
    line.json(['init'])
    writeFileSync(join(line.home, 'config.toml'), '[inbox]\nretention_days = 7\n', { mode: 0o600 })
    const { settings } = line.json<{ settings: { name: string; value: unknown; origin: { source: string } }[] }>(
      ['daemon', 'config', 'show', '--effective', '--set', 'log.level=debug'],
      { env: { CLAUDEMESH_OUTBOX_MAX_AGE_HOURS_DEFAULT: '100' } },
    )
    const origin = (name: string) => settings.find((setting) => setting.name === name)
    expect(origin('inbox.retention_days')).toMatchObject({ value: 7, origin: { source: 'file' } })
    expect(origin('outbox.max_age_hours_default')).toMatchObject({ value: 100, origin: { source: 'environment' } })
    expect(origin('log.level')).toMatchObject({ value: 'debug', origin: { source: 'flag' } })
    expect(origin('disk.budget_bytes')).toMatchObject({ origin: { source: 'default' } })
  })

  test('that cannot be used keeps the daemon from starting, and the command says why', () => {
    const line = new CommandLine()
    line.json(['init'])
    writeFileSync(join(line.home, 'config.toml'), '[inbox]\nretention_dayz = 7\n', { mode: 0o600 })
    const problem = line.problem(['daemon', 'start'])
    expect(problem).toMatchObject({ code: 'config_invalid', exitCode: 78 })
    expect(problem.detail).toContain('retention_dayz')
  })
})
