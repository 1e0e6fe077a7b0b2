/** A damaged inbox costs a refetch: the daemon starts, says so, and every message is there again, once. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { TestMesh } from '../support/mesh.ts'

const before = 600
const meanwhile = 20

describe('an inbox that was damaged while its daemon was down', () => {
  let mesh: TestMesh

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'])
  }, 60_000)

  afterAll(() => mesh.end())

  test('is filled again from the broker, across a kill, with what came meanwhile, each message once', async () => {
    const alice = mesh.member('alice')
    const bob = mesh.member('bob')
    await sendMany(1, before)
    await eventually('bob has them all', async () => (await bob.health())?.inbox.messages === before)
    await bob.kill()
    await sendMany(before + 1, meanwhile)
    await alice.drained()
    // Both files: a sound journal would mend whatever pages of the database it has.
    for (const suffix of ['', '-wal'])
      writeFileSync(bob.paths.inboxDatabase + suffix, 'it was sound once '.repeat(1000))

    await bob.start()
    await eventually('something has come back', async () => ((await bob.health())?.inbox.messages ?? 0) > 0)
    await bob.kill()
    await bob.start()
    const all = Array.from({ length: before + meanwhile }, (_, index) => `message ${index + 1}`)
    await eventually('everything has come back', async () => (await bob.inbox()).length >= all.length)
    const texts = (await bob.inbox()).map((message) => message.message ?? '')
    expect(texts.toSorted(byNumber)).toEqual(all)
    expect(damagedFiles()).toContainEqual(expect.stringMatching(/^inbox\.db\.corrupt-\d{8}T\d{9}Z$/))
    expect(existsSync(bob.paths.inboxDatabase)).toBe(true)
  }, 90_000)

  test('is searched and marked as before', async () => {
    const bob = mesh.member('bob')
    const hit = await bob.request({ method: 'GET', path: '/v1/inbox/search?q=%22message%20601%22' })
    expect(hit.json).toMatchObject({ messages: [{ message: 'message 601' }], next: null })
  })

  function damagedFiles(): string[] {
    return readdirSync(mesh.member('bob').paths.directory).filter((name) => name.includes('.corrupt-'))
  }

  /** In batches, as the fastest way in. */
  async function sendMany(first: number, count: number): Promise<void> {
    const sends = Array.from({ length: count }, (_, index) => ({ to: 'bob', message: `message ${first + index}` }))
    for (let from = 0; from < count; from += 200) {
      const body = sends.slice(from, from + 200)
      const answer = await mesh.member('alice').request({ method: 'POST', path: '/v1/send/batch', body })
      expect(answer.status).toBe(200)
    }
  }
})

function byNumber(left: string, right: string): number {
  return Number(left.replace('message ', '')) - Number(right.replace('message ', ''))
}
