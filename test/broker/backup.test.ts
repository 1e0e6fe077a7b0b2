/** The backup of an embedded broker, made by the command while the broker works. */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { SendItem } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const run = promisify(execFile)

test('a copy made under load is a broker that has everything acknowledged before, and delivers it', async () => {
  const { url, data, close } = await startBroker()
  const mesh = new RawMesh()
  const bob = mesh.join('bob')
  await (await RawMember.connect(url, bob)).settled()
  const sender = await RawMember.connect(url, mesh.founder)
  const acknowledged: SendItem[] = []
  const sendSome = async () => {
    const items = Array.from({ length: 20 }, () => message({ to: { kind: 'dm', ref: bob.memberId } }))
    for (const { status } of await sender.post(items)) expect(status).toBe(201)
    acknowledged.push(...items)
  }
  for (let n = 0; n < 10; n += 1) await sendSome()
  const before = acknowledged.length

  const out = join(scratchDirectory(), 'broker-copy.db')
  let copying = true
  const backup = run(process.execPath, [claudemeshBin, 'broker', 'backup', '--data', data, '--out', out, '--json'], {
    env: cleanEnvironment(),
  }).finally(() => {
    copying = false
  })
  while (copying) await sendSome()
  expect(JSON.parse((await backup).stdout)).toMatchObject({ path: out })
  await close()

  const restoredData = join(scratchDirectory(), 'broker')
  mkdirSync(restoredData, { mode: 0o700 })
  copyFileSync(out, join(restoredData, 'broker.db'))
  const restored = await startBroker({ data: restoredData })
  const again = await RawMember.connect(restored.url, mesh.founder)
  const repeated = await again.post(acknowledged.slice(0, before))
  expect(new Set(repeated.map(({ status }) => status))).toEqual(new Set([200]))
  const reader = await RawMember.connect(restored.url, bob)
  const delivered = await reader.deliveries(before)
  const ids = new Set(delivered.map((item) => item.client_message_id))
  expect(acknowledged.slice(0, before).every((item) => ids.has(item.client_message_id))).toBe(true)
  console.log(`backup: ${before} messages before it, ${acknowledged.length - before} while it was made`)
})
