/** Messages for a daemon that does not run: kept as it would have kept them, and sent by its next start. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SendResponse } from '@claudemesh/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestMesh } from '../support/mesh.ts'

let mesh: TestMesh
beforeAll(async () => {
  mesh = await TestMesh.start(['alice', 'bob'])
}, 60_000)
afterAll(() => mesh.end())

test('what is kept offline is acknowledged by the same rules, survives a kill, and arrives once', async () => {
  const [alice, bob] = [mesh.member('alice'), mesh.member('bob')]
  const keep = (key: string, text: string, environment: Readonly<Record<string, string>> = {}) =>
    alice.run(['send', '--offline', '--to', '@bob', '--id', key, text, '--json'], '', environment)
  const answerOf = ({ stdout }: { readonly stdout: string }) => JSON.parse(stdout) as SendResponse

  await alice.kill()
  expect(answerOf(keep('first', 'one'))).toMatchObject({ state: 'queued', client_message_id: 'first' })
  expect(answerOf(keep('first', 'one')).outbox_id).toBe(answerOf(keep('first', 'one')).outbox_id)
  expect(JSON.parse(keep('first', 'another').stderr)).toMatchObject({ code: 'idempotency_key_reused' })
  const killed = keep('second', 'two', { CLAUDEMESH_CRASH_AT: 'daemon.accept.before-commit' })
  expect([killed.status, killed.stdout], 'nothing was acknowledged').toEqual([null, ''])
  expect(keep('third', 'three').status).toBe(0)
  const unknown = alice.run(['send', '--offline', '--to', '@nobody', 'x', '--json'])
  expect(JSON.parse(unknown.stderr)).toMatchObject({ code: 'recipient_unknown' })
  expect(alice.run(['send', '--offline', '--wait', 'accepted', '--to', '@bob', 'x']).status).toBe(64)
  expect(existsSync(alice.paths.pid), 'no pid is left behind').toBe(false)

  await alice.start()
  await alice.drained()
  expect(answerOf(keep('fourth', 'four')), 'a daemon that runs takes it itself').toMatchObject({ state: 'accepted' })
  const texts = (await bob.inboxOf(3)).map(({ message }) => message)
  expect(texts).toEqual(['one', 'three', 'four'])
})

test('a gate that only the daemon can ask is shut', async () => {
  const bob = mesh.member('bob')
  await bob.kill()
  const directory = join(bob.paths.directory, 'hooks')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, 'hooks.toml'), '[pre-send]\n', { mode: 0o600 })
  const { stderr } = bob.run(['send', '--offline', '--to', '@alice', 'x', '--json'])
  expect(JSON.parse(stderr)).toMatchObject({ code: 'pre_send_unavailable' })
  writeFileSync(join(directory, 'hooks.toml'), '')
  expect(bob.run(['send', '--offline', '--to', '@alice', 'x']).status).toBe(0)
})
