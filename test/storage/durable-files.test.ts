/**
 * Our own files after a power cut: whatever a command or a daemon has written, moved or removed is durable when it says
 * that it is done. Seen from outside of the code, at the calls to the file system (test/support/record-file-changes.mjs).
 * SQLite's own files are not seen there.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { RecordedRun } from '../support/file-changes.ts'
import { TestMember, TestMesh } from '../support/mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const passphrase = 'correct horse battery staple'

/** What is worth nothing after a crash: who runs, where it listens, what it logged; and SQLite's own files. */
const fleeting = /\/(lock|pid|http-port|last-exit\.json|daemon\.sock|daemon\.log|[a-z]+\.db(-wal|-shm)?)$/

/** Runs a command, and demands that nothing that it did below a directory can be taken back. */
function runDurably(member: TestMember, args: readonly string[], input = ''): string {
  const recorded = new RecordedRun()
  const { status, stdout, stderr } = member.run(args, input, recorded.environment)
  expect(status, `${args.join(' ')}: ${stdout}${stderr}`).toBe(0)
  const below = join(member.home, '..')
  expect(recorded.changes(below), `${args.join(' ')} changes something`).not.toEqual([])
  expect(recorded.undurable(below).filter(isLasting), args.join(' ')).toEqual([])
  return stdout
}

function isLasting({ path }: { readonly path: string }): boolean {
  return !fleeting.test(path)
}

test('every file that a command makes, replaces, extends or removes is durable when the command has ended', () => {
  const directory = scratchDirectory()
  const alice = new TestMember('alice', join(directory, 'alice'))
  runDurably(alice, ['init', '--mesh', 'test', '--name', 'alice', '--broker', 'ws://127.0.0.1:1'])
  const tokens = [1, 2].map(() => JSON.parse(runDurably(alice, ['invite', 'create', '--json'])).token as string)
  runDurably(alice, ['mesh', 'root', 'export', '--out', join(directory, 'root.json')])
  runDurably(new TestMember('bob', join(directory, 'bob')), ['join', '-', '--name', 'bob'], tokens[0])
  const backup = join(directory, 'alice.backup')
  runDurably(alice, ['daemon', 'backup', '--out', backup], `${passphrase}\n`)
  const restored = new TestMember('alice', join(directory, 'restored'))
  runDurably(restored, ['daemon', 'restore', '--in', backup], passphrase)
  runDurably(restored, ['daemon', 'remint'])
}, 300_000)

test('every file that a daemon changes while it runs, and that an ephemeral member takes along, is durable', async () => {
  const mesh = await TestMesh.start(['alice'])
  try {
    const alice = mesh.member('alice')
    const recorded = new RecordedRun()
    await alice.start({ env: recorded.environment })
    alice.cli(['daemon', 'rotate-keypair'])
    alice.cli(['daemon', 'rotate-token'])
    const { token } = JSON.parse(alice.cli(['invite', 'create', '--json'])) as { token: string }
    alice.running.signal('SIGTERM')
    await alice.running.ended
    expect(recorded.changes(alice.home).map(({ path }) => path)).toContain(alice.paths.keypair)
    expect(recorded.undurable(alice.home).filter(isLasting)).toEqual([])

    const job = new TestMember('job', join(mesh.directory, 'job'))
    job.cli(['join', '-', '--name', 'job', '--ephemeral'], token)
    const recordedJob = new RecordedRun()
    await job.start({ env: recordedJob.environment })
    await eventually('the keys are off the disk', () => !existsSync(job.paths.keypair))
    job.running.signal('SIGTERM')
    await job.running.ended
    expect(existsSync(job.paths.outboxDatabase)).toBe(false)
    // Here the databases count too: what was removed must not come back.
    const back = recordedJob.undurable(job.home).filter(({ path }) => isLasting({ path }) || /\.db/.test(path))
    expect(back.filter(({ path }) => !existsSync(path))).toEqual([])
  } finally {
    await mesh.end()
  }
}, 300_000)

test('an invite that a power cut left half written costs no other one', () => {
  const alice = new TestMember('alice', join(scratchDirectory(), 'alice'))
  alice.cli(['init', '--mesh', 'test', '--name', 'alice', '--broker', 'ws://127.0.0.1:1'])
  alice.cli(['invite', 'create', '--uses', '2'])
  const ledger = join(alice.paths.directory, 'invites.jsonl')
  appendFileSync(ledger, readFileSync(ledger, 'utf8').slice(0, 40))
  alice.cli(['invite', 'create', '--uses', '3'])
  const { invites } = JSON.parse(alice.cli(['invite', 'list', '--json'])) as { invites: { uses: number }[] }
  expect(invites.map(({ uses }) => uses)).toEqual([2, 3])
}, 120_000)
