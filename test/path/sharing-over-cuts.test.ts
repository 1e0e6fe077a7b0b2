/** Files over a network that breaks again and again: both transfers go on at the byte that the other side has. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ShareList, ShareResponse } from '@claudemesh/protocol/artifacts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CuttingProxy } from '../support/cutting-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { findFreePort, TestBroker, type TestMember, TestMesh } from '../support/mesh.ts'

let mesh: TestMesh
let broker: TestBroker
let proxy: CuttingProxy
let alice: TestMember
let bob: TestMember

beforeAll(async () => {
  mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
  await mesh.broker.kill()
  // The same data behind the proxy, which has its port.
  broker = new TestBroker(mesh.broker.data, await findFreePort())
  await broker.start({ env: { CLAUDEMESH_BROKER_PUBLIC_URLS: mesh.broker.url } })
  proxy = await CuttingProxy.start({ port: mesh.broker.port, brokerPort: broker.port })
  for (const member of mesh.members) await member.start()
  for (const member of mesh.members) await member.knows(['alice', 'bob'])
  ;[alice, bob] = ['alice', 'bob'].map((name) => mesh.member(name)) as [TestMember, TestMember]
}, 120_000)
afterAll(async () => {
  await proxy.stop()
  await broker.kill()
  await mesh.end()
})

test('a file of 6 MB arrives whole over connections that are cut after each megabyte and a half', async () => {
  const text = Array.from({ length: 100_000 }, (_, line) => `${line}: ${'x'.repeat(50)}\n`).join('')
  const path = join(mesh.directory, 'large.txt')
  writeFileSync(path, text)
  proxy.cutsAfter = 1_500_000
  const answer = await alice.request({ method: 'POST', path: '/v1/file/share', body: { path, to: 'bob' } })
  const { share_id } = answer.json as ShareResponse
  await eventually('it is there', async () => {
    const list = await bob.request({ method: 'GET', path: '/v1/file/list?direction=received' })
    return (list.json as ShareList).shares.some((share) => share.share_id === share_id && share.status === 'fetched')
  })
  const read = await bob.request({ method: 'GET', path: `/v1/file/get?id=${share_id}` })
  expect(read.text === text).toBe(true)
  // Up and down, at least three times each.
  expect(proxy.cuts).toBeGreaterThanOrEqual(6)
})
