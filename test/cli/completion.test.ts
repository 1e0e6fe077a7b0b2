/** Completion, asked as shells ask it, and in the shells that this machine has: a tab key, and the command that it makes. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'
import { type TestMember, TestMesh } from '../support/mesh.ts'
import { CommandLine } from './command-line.ts'

let mesh: TestMesh
let alice: TestMember

beforeAll(async () => {
  mesh = await TestMesh.start(['alice', 'bob'])
  alice = mesh.member('alice')
  alice.cli(['topic', 'subscribe', 'news'])
  await alice.request({ method: 'POST', path: '/v1/queue/consume', body: { queue: 'builds' } })
}, 60_000)
afterAll(() => mesh.end())

/** The last of the words is being typed. */
function candidates(...words: readonly string[]): readonly string[] {
  const { status, stdout, stderr } = alice.run(['completion', 'candidates', '--', ...words])
  expect([status, stderr]).toEqual([0, ''])
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0] ?? '']))
}

const rows: readonly { line: readonly string[]; found: readonly string[] }[] = [
  { line: ['se'], found: ['send'] },
  { line: ['daemon', 'sta'], found: ['start', 'status'] },
  { line: ['--mesh', 'test', 'daemon', 'sto'], found: ['stop'] },
  { line: ['--mesh', ''], found: ['test'] },
  { line: ['send', '--mesh=t'], found: ['--mesh=test'] },
  { line: ['send', '--to'], found: ['--to'] },
  { line: ['send', '--no-c'], found: ['--no-color'] },
  { line: ['queue', 'leave', 'b'], found: ['builds'] },
  { line: ['topic', 'post', 'n'], found: ['news'] },
  { line: ['inbox', '--topic', ''], found: ['news'] },
  { line: ['inbox', 're'], found: ['read'] },
  { line: ['member', 'revoke', 'b'], found: ['bob'] },
  { line: ['nonsense', ''], found: [] },
  { line: ['queue', 'consume', 'builds', '--', 'b'], found: [] },
  { line: ['send', '--id', 'x', '--to', '@b'], found: ['@bob'] },
]

describe('what may come next', () => {
  test.each(rows)('after $line is $found', async ({ line, found }) => {
    await eventually('the daemon answers in time', () => candidates(...line).length >= found.length)
    expect(candidates(...line)).toEqual(found)
  })

  test('as a destination is everybody, every topic and every queue', async () => {
    const all = ['#news', '@alice', '@bob', 'queue:builds']
    await eventually('the daemon answers in time', () => candidates('send', '--to', '').length >= all.length)
    expect(candidates('send', '--to', '').toSorted()).toEqual(all)
    expect(candidates('send', '--to', '@b')).toEqual(['@bob'])
  })

  test('of a home without a mesh, or without a daemon, is what is known all the same, and no error', () => {
    const line = new CommandLine()
    const ask = (...words: readonly string[]) => line.run(['completion', 'candidates', '--', ...words])
    expect(ask('send', '--to', '')).toEqual({ status: 0, stdout: '', stderr: '' })
    line.json(['init', '--broker', 'ws://127.0.0.1:9'])
    expect(ask('send', '--to', '')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(ask('sen').stdout).toMatch(/^send\tSend a message/)
  })
})

test('there is no completion for another shell', () => {
  expect(alice.run(['completion', 'tcsh'])).toMatchObject({
    status: 64,
    stderr: expect.stringContaining('bash, zsh, fish'),
  })
})

/** A shell at a terminal of its own, in which `claudemesh` completes as ever and says what else it is called with. */
class Shell {
  readonly #child: ChildProcess
  output = ''

  constructor(command: string) {
    const directory = mesh.directory
    const program = join(directory, 'claudemesh')
    const real = `exec "${process.execPath}" "${claudemeshBin}" "$@"`
    writeFileSync(program, `#!/bin/sh\n[ "$1" = completion ] && ${real}\nprintf 'ran <%s>\\n' "$@"\n`)
    chmodSync(program, 0o755)
    const clean = cleanEnvironment()
    const env = {
      ...clean,
      PATH: [directory, clean['PATH']].join(delimiter),
      CLAUDEMESH_HOME: alice.home,
      TERM: 'dumb',
    }
    this.#child = spawn('script', ['-qfec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
    })
    onTestFinished(() => void this.#child.kill('SIGKILL'))
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  async shows(text: string): Promise<void> {
    await eventually(`the shell shows ${text}`, () => this.output.includes(text)).catch((error: unknown) => {
      throw new Error(`it shows ${this.output}`, { cause: error })
    })
  }
}

function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

const shells = [
  { name: 'bash', command: 'bash --norc --noprofile -i', set: 'PS1=; source <(claudemesh completion bash)' },
  {
    name: 'zsh',
    command: 'zsh -f -i',
    set: 'PS1=; autoload -Uz compinit && compinit -u -D; source <(claudemesh completion zsh)',
  },
] as const

describe.each(shells)('in $name', ({ name, command, set }) => {
  test.skipIf(!has(name) || !has('script'))('a tab completes commands, options, members and topics', async () => {
    const shell = new Shell(command)
    shell.type(`${set}; echo rea""dy\n`)
    await shell.shows('ready')
    shell.type('claudemesh sen\t--no-c\t--to @b\t hello\n')
    for (const word of ['send', '--no-color', '@bob', 'hello']) await shell.shows(`ran <${word}>`)
    shell.type('claudemesh topic post n\t \n')
    for (const word of ['topic', 'post', 'news']) await shell.shows(`ran <${word}>`)
    shell.type('claudemesh send --to \\#n\t\n')
    await shell.shows('ran <#news>')
    shell.type('claudemesh send --to queue:b\t\n')
    await shell.shows('ran <queue:builds>')
  })
})

test.skipIf(!has('fish'))('in fish, candidates come with what they are', async () => {
  const env = { ...cleanEnvironment(), CLAUDEMESH_HOME: alice.home, HOME: alice.home }
  const ask = (line: string) => {
    const wrapper = `function claudemesh; "${process.execPath}" "${claudemeshBin}" $argv; end`
    const script = `${wrapper}; claudemesh completion fish | source; complete -C '${line}'`
    return spawnSync('fish', ['--no-config', '-c', script], { env, encoding: 'utf8' }).stdout
  }
  expect(ask('claudemesh daemon stat')).toBe(
    'status\tShow on one screen how the daemon is; exit code 0 only if it is healthy\n',
  )
  await eventually('the daemon answers in time', () => ask('claudemesh send --to @b') === '@bob\tonline\n')
  expect(ask(`claudemesh send --file ${alice.home}/mes`)).toContain('meshes/')
})
