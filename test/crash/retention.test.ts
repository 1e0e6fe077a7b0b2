/** Kills the broker while it deletes what is past its retention: what was to be told of it is told once. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createIdSource } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import type { Runtime } from '../../apps/broker/src/runtime.ts'
import { eventually } from '../support/eventually.ts'
import { ManagedProcess } from '../support/managed-process.ts'
import { startBroker as startBrokerInside } from '../support/raw-broker.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const dayMs = 86_400_000

test('broker at broker.retention.before-commit: the message is still there, then it goes and its sender hears it once', async () => {
  const data = join(scratchDirectory(), 'broker')
  mkdirSync(data, { mode: 0o700 })
  const mesh = new RawMesh()
  const reader = mesh.join('reader')
  const sent = message({ to: { kind: 'dm', ref: reader.memberId } })
  await withSteppingBroker(data, async (url, stepBack) => {
    await (await RawMember.connect(url, reader)).close()
    const sender = await RawMember.connect(url, mesh.founder)
    stepBack(2 * dayMs)
    expect(await sender.postOne(sent)).toMatchObject({ status: 201 })
    // Something newer, so that it is plain that two days have gone by.
    stepBack(-2 * dayMs)
    const newer = message({ to: { kind: 'dm', ref: mesh.founder.memberId }, receipts: false })
    expect(await sender.postOne(newer)).toMatchObject({ status: 201 })
  })

  const killed = run(data, { CLAUDEMESH_CRASH_AT: 'broker.retention.before-commit' })
  expect(await killed.ended, killed.output).toMatchObject({ signal: 'SIGKILL' })

  const broker = run(data, {})
  const url = await eventually('the broker listens', () => /listening on (\S+)\n/.exec(broker.output)?.[1])
  const sender = await RawMember.connect(url, mesh.founder)
  const [receipt] = await sender.receipts(1)
  expect(receipt).toMatchObject({
    client_message_id: sent.client_message_id,
    recipient: reader.memberId,
    state: 'undeliverable',
    reason: 'expired',
  })
  await sender.settled()
  expect(sender.pending('receipts')).toEqual([])
  expect(await sender.postOne(sent)).toMatchObject({ status: 200, history_available: false })
})

/** A broker whose clock can be put back, so that what it accepts then is old. */
async function withSteppingBroker(
  data: string,
  use: (url: string, stepBack: (ms: number) => void) => Promise<void>,
): Promise<void> {
  let offset = 0
  const now = () => Date.now() - offset
  const runtime: Runtime = { now, monotonicMs: () => performance.now(), nextId: createIdSource(now) }
  const broker = await startBrokerInside({ data }, runtime)
  await use(broker.url, (ms) => {
    offset += ms
  })
  await broker.close()
}

function run(data: string, env: Readonly<Record<string, string>>): ManagedProcess {
  const process = new ManagedProcess(['broker', 'start', '--data', data, '--port', '0'], {
    CLAUDEMESH_BROKER_MESSAGE_RETENTION_DAYS: '1',
    CLAUDEMESH_BROKER_JOB_INTERVAL_MS: '50',
    ...env,
  })
  onTestFinished(async () => {
    await process.kill()
  })
  return process
}
