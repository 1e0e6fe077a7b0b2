/** What the broker's jobs do by themselves while it runs; each engine's part in it is in test/conformance. */
import { expect, test } from 'vitest'
import { type Runtime, systemRuntime } from '../../apps/broker/src/runtime.ts'
import { eventually } from '../support/eventually.ts'
import { startBroker } from '../support/raw-broker.ts'
import { message, RawMember } from '../support/raw-member.ts'
import { RawMesh } from '../support/raw-mesh.ts'

const dayMs = 86_400_000

test('retention takes a message, its id stays known until its own time is over, and then it is free', async () => {
  const clock = steppingRuntime()
  const broker = await startBroker(
    {
      jobIntervalMs: 10,
      settings: {
        dedupeMode: 'retention_scoped',
        dedupeRetentionDays: 30,
        messageRetentionDays: 7,
        concurrencyPolicy: 'prefer_newest',
        blobQuotaBytes: 1_000_000,
      },
    },
    clock,
  )
  const expired = async (job: string) => {
    const metrics = await (await fetch(`${broker.httpUrl}/metrics`)).text()
    return Number(new RegExp(`^cm_broker_expired_rows_total\\{job="${job}"\\} (\\d+)$`, 'm').exec(metrics)?.[1] ?? 0)
  }
  const mesh = new RawMesh()
  const reader = mesh.join('reader')
  await (await RawMember.connect(broker.url, reader)).close()
  const item = message({ to: { kind: 'dm', ref: reader.memberId } })
  // Nobody stays connected while days pass: whoever is silent for so long is gone.
  const asSender = async <T>(use: (sender: RawMember) => Promise<T>): Promise<T> => {
    const sender = await RawMember.connect(broker.url, mesh.founder)
    const result = await use(sender)
    await sender.close()
    return result
  }
  await asSender(async (sender) => expect(await sender.postOne(item)).toMatchObject({ status: 201, history_id: '1' }))

  clock.advance(8 * dayMs)
  await eventually('retention has taken the message', async () => (await expired('message_retention')) > 0)
  await asSender(async (sender) => {
    expect(await sender.receipts(1)).toMatchObject([
      { client_message_id: item.client_message_id, state: 'undeliverable', reason: 'expired' },
    ])
    expect(await sender.postOne(item)).toMatchObject({ status: 200, history_available: false })
  })
  expect(await expired('dedupe_expiry')).toBe(0)

  clock.advance(23 * dayMs)
  await eventually('the id is forgotten', async () => (await expired('dedupe_expiry')) > 0)
  await asSender(async (sender) => expect(await sender.postOne(item)).toMatchObject({ status: 201, history_id: '2' }))
})

/** The clocks of this machine, which the test moves on. */
function steppingRuntime(): Runtime & { advance(ms: number): void } {
  const runtime = systemRuntime()
  let offset = 0
  return {
    now: () => runtime.now() + offset,
    monotonicMs: () => runtime.monotonicMs() + offset,
    nextId: () => runtime.nextId(),
    advance: (ms) => {
      offset += ms
    },
  }
}
