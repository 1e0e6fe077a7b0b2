/** Files and packages from one member to another, by the command line alone. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ShareList, ShareResponse } from '@claudemesh/protocol/artifacts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectSameFiles } from '../artifacts/directory-contents.ts'
import { eventually } from '../support/eventually.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'
import { CommandLine, killIfThere } from './command-line.ts'

const alice = new CommandLine(afterAll)
const bob = new CommandLine(afterAll)

beforeAll(async () => {
  alice.json(['init', '--name', 'alice'])
  const pids = [alice.json<{ pid: number }>(['daemon', 'start']).pid]
  const { token } = alice.json<{ token: string }>(['invite', 'create'])
  bob.json(['join', '-', '--name', 'bob'], { input: token })
  pids.push(bob.json<{ pid: number }>(['daemon', 'start']).pid)
  await eventually('both are there', () =>
    [alice, bob].every((one) => one.json<{ peers: unknown[] }>(['peers']).peers.length === 2),
  )
  return () => {
    for (const pid of pids) killIfThere(pid)
    killIfThere(JSON.parse(alice.run(['broker', 'status', '--json']).stdout).pid)
  }
}, 60_000)

function received(line: CommandLine): ShareList['shares'] {
  return line.json<ShareList>(['artifact', 'shares', '--direction', 'received']).shares
}

/** The share as its recipient has it. */
async function arrival(name: string) {
  return await eventually(`${name} has arrived`, () => received(bob).find((share) => share.name === name))
}

test('a file is shared, listed on both sides, and got by its share', async () => {
  const path = join(scratchDirectory(), 'report.txt')
  writeFileSync(path, 'all is well\n')
  const args = [
    'artifact',
    'share',
    path,
    '--to',
    '@bob',
    '--message',
    'please look',
    '--expires',
    '1d',
    '--id',
    'once',
  ]
  const shared = alice.json<ShareResponse>(args)
  expect(shared).toMatchObject({ size_bytes: 12, client_message_id: expect.any(String) })
  expect(alice.json<ShareResponse>(args).share_id).toBe(shared.share_id)
  const share = await arrival('report.txt')
  expect(share).toMatchObject({ direction: 'received', peer_name: 'alice', size_bytes: 12 })
  expect(bob.run(['artifact', 'get', share.share_id]).stdout).toBe('all is well\n')
  const sent = alice.json<ShareList>(['artifact', 'shares', '--direction', 'sent', '--since', '1h'])
  expect(sent.shares).toMatchObject([{ share_id: shared.share_id, peer_name: 'bob' }])
  expect(bob.run(['artifact', 'shares']).stdout).toMatch(/^SHARE +STATUS +PEER +SIZE +EXPIRES +NAME\n.*alice/)
  const refused = bob.problem(['artifact', 'pull', share.share_id, join(scratchDirectory(), 'out')])
  expect(refused).toMatchObject({ code: 'invalid_usage', exitCode: 64 })
})

test('a package is shared, and pulled by its share', async () => {
  const directory = join(scratchDirectory(), 'tree')
  mkdirSync(join(directory, 'deep'), { recursive: true })
  for (const name of ['a', 'deep/b']) writeFileSync(join(directory, name), name.repeat(1000))
  const { package_id: id } = alice.json<{ package_id: string }>(['artifact', 'push', directory, '--finalize'])
  alice.json(['artifact', 'share', id, '--to', '@bob', '--name', 'pushed tree'])
  alice.json(['artifact', 'share', directory, '--to', '@bob', '--name', 'shared tree'])
  alice.json(['artifact', 'share', `${id}/a`, '--to', '@bob', '--name', 'one file'])
  for (const name of ['pushed tree', 'shared tree']) {
    const { share_id } = await arrival(name)
    const out = join(scratchDirectory(), 'out')
    expect(bob.json(['artifact', 'pull', share_id, out])).toMatchObject({ files: 2 })
    expectSameFiles(out, directory)
    expect(bob.run(['artifact', 'get', `${share_id}/deep/b`]).stdout).toBe(
      readFileSync(join(directory, 'deep/b'), 'utf8'),
    )
  }
  const { share_id } = await arrival('one file')
  expect(bob.run(['artifact', 'get', share_id]).stdout).toBe('a'.repeat(1000))
})

test('a share that is not wanted is revoked, once and for all', async () => {
  const path = join(scratchDirectory(), 'unwanted.txt')
  writeFileSync(path, 'x'.repeat(17 * 1024 * 1024))
  alice.json(['artifact', 'share', path, '--to', '@bob'])
  // Larger than what is fetched without being asked for.
  const { share_id, status } = await arrival('unwanted.txt')
  expect(status).toBe('received')
  const args = ['artifact', 'revoke', share_id, '--reason', 'not wanted']
  expect(bob.json(args)).toMatchObject({ share_id, status: 'revoked' })
  expect(bob.run(args).stdout).toBe(`${share_id} is revoked\n`)
  expect(bob.problem(['artifact', 'get', share_id])).toMatchObject({ code: 'share_expired', exitCode: 65 })
  const nobody = '01JD8ZC6W0000000000000000A'
  expect(bob.problem(['artifact', 'revoke', nobody])).toMatchObject({ code: 'share_not_found', exitCode: 66 })
})

test('what cannot be shared says why', () => {
  const home = ['artifact', 'share', join(alice.home, 'daemon'), '--to', '@bob']
  expect(alice.problem(home)).toMatchObject({ code: 'path_forbidden', exitCode: 77 })
  const nobody = '01JD8ZC6W0000000000000000A'
  expect(alice.problem(['artifact', 'share', nobody, '--to', '@bob'])).toMatchObject({
    code: 'package_not_found',
    exitCode: 66,
  })
  expect(alice.problem(['artifact', 'share', '/nonexistent', '--to', '@bob'])).toMatchObject({ code: 'invalid_usage' })
  expect(alice.problem(['artifact', 'share', '/etc/hosts'])).toMatchObject({ code: 'invalid_usage' })
  expect(alice.problem(['artifact', 'share', '/etc/hosts', '--to', '@bob', '--expires', '31d'])).toMatchObject({
    code: 'invalid_usage',
  })
  expect(alice.problem(['artifact', 'share', '/etc/hosts', '--to', '@carol'])).toMatchObject({
    code: 'recipient_unknown',
    exitCode: 65,
  })
  expect(bob.problem(['artifact', 'pull', nobody, '/nonexistent/x'])).toMatchObject({ code: 'package_not_found' })
})
