/** A disk that is really full: the home of one member is a small file system of its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { TestMesh } from '../support/mesh.ts'
import { canMount, mountSmallDisk, type SmallDisk } from '../support/small-disk.ts'

describe.skipIf(!canMount)('a full disk under the daemon', () => {
  let mesh: TestMesh
  let disk: SmallDisk

  beforeAll(async () => {
    mesh = await TestMesh.start(['alice', 'bob'], {
      prepareHome: (name, home) => {
        if (name === 'alice') disk = mountSmallDisk(home, 24 * 1024 * 1024)
      },
    })
  }, 60_000)

  afterAll(async () => {
    await mesh.member('alice').kill()
    disk.unmount()
    await mesh.end()
  })

  test('refuses with 507, stores nothing of what it refused, goes on serving, and recovers when there is room', async () => {
    const alice = mesh.member('alice')
    const acknowledged: string[] = []
    const refused: string[] = []
    // Kept from going out, so that every accepted message needs its place on the disk.
    await mesh.broker.kill()
    disk.fill(2 * 1024 * 1024)
    for (let n = 0; refused.length < 20; n += 1) {
      const key = `full-${n}`
      const answer = await alice.send({ to: '@bob', message: 'x'.repeat(16_384), client_message_id: key })
      if (answer.status === 202) acknowledged.push(key)
      else {
        expect(answer).toMatchObject({ status: 507, json: { code: 'insufficient_storage', retryable: true } })
        refused.push(key)
      }
    }
    expect(acknowledged.length).toBeGreaterThan(0)
    for (const key of refused) {
      expect((await alice.request({ method: 'GET', path: `/v1/outbox/${key}` })).status).toBe(404)
    }
    expect((await alice.request({ method: 'GET', path: '/v1/inbox' })).status).toBe(200)

    disk.empty()
    const key = refused[0] ?? ''
    await eventually('a refused send is taken when there is room', async () => {
      const answer = await alice.send({ to: '@bob', message: 'x'.repeat(16_384), client_message_id: key })
      return answer.status === 202
    })
    acknowledged.push(key)
    await mesh.broker.start()
    await alice.drained()
    const arrived = await eventually('everything acknowledged arrives', async () => {
      const keys = (await mesh.member('bob').inbox()).map((message) => message.client_message_id)
      return keys.length >= acknowledged.length ? keys : null
    })
    expect(arrived).toEqual(acknowledged)
  }, 60_000)
})
