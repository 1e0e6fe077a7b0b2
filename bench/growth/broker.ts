/** The embedded engine with that many messages that were accepted and wait: accepting, delivering, history. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyChain } from '@claudemesh/identity'
import { createIdSource, wireFingerprint } from '@claudemesh/protocol'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import type { AcceptItem, Store } from '../../apps/broker/src/store/store.ts'
import { type MemberIdentity, RawMesh } from '../../test/support/raw-mesh.ts'
import { queueCopies, readQueued } from '../queued-messages.ts'
import { type GrowingTables, type Growth, microsecondsPerTurn } from './growth.ts'

export const brokerGrowth: Growth = {
  name: 'growth-broker',
  unit: 'messages',
  operations: [
    { name: 'accept', about: '64 messages in a commit' },
    { name: 'accept again', about: 'the same, of messages that are remembered' },
    { name: 'deliver', about: '64 messages claimed from the head of the queue' },
    { name: 'acknowledge', about: '64 deliveries in a commit' },
    { name: 'history page', about: '50 messages behind one in the middle' },
    { name: 'retention tick', about: 'nothing is old enough' },
  ],
  prepare,
}

const [batch, pageRows] = [64, 50]
const connectionId = 'one'

async function prepare(): Promise<GrowingTables> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-growth-'))
  const path = join(directory, 'broker.db')
  const now = () => Date.now()
  const runtime = { now, monotonicMs: () => performance.now(), nextId: createIdSource(now) }
  const { SqliteStore } = await loadEngine()
  const open = (): Store => SqliteStore.open({ path, runtime })
  const mesh = new RawMesh()
  let store = open()
  const sender = await admit(store, mesh.founder)
  const recipient = await admit(store, mesh.join('recipient'))
  const draft = () => makeItem(runtime.nextId(), { sender, recipient })
  await store.acceptBatch([draft()])
  const like = readQueued(path)
  /** Places of the history that are taken: copies go on behind them, and so does what is measured. */
  let rows = 1
  const claim = { ...recipient, connectionId, leaseMs: 30_000, itemsMax: batch, bytesMax: 1_000_000 }

  return {
    async fill(count) {
      await store.close()
      queueCopies(path, like, { first: rows + 1, count: count - rows })
      rows = Math.max(rows, count)
      store = open()
    },
    async measure() {
      const calls = 8
      const batches = Array.from({ length: calls }, () => Array.from({ length: batch }, draft))
      const accept = await microsecondsPerTurn(calls, (n) => expectCount(store.acceptBatch(at(batches, n)), batch))
      rows += calls * batch
      const again = await microsecondsPerTurn(calls, (n) => expectCount(store.findAccepted(at(batches, n)), batch))
      const claimed: (readonly number[])[] = []
      const deliver = await microsecondsPerTurn(calls, async () => {
        const { deliveries } = await store.claim(claim)
        claimed.push(deliveries.map(({ deliveryId }) => deliveryId))
      })
      const acknowledge = await microsecondsPerTurn(calls, async (n) => {
        const items = at(claimed, n).map((deliveryId) => ({ deliveryId, outcome: 'stored' as const }))
        await store.acknowledge(recipient, items)
      })
      const middle = Math.floor(rows / 2)
      const history = await microsecondsPerTurn(calls, async () => {
        const page = { after: middle, since: 0, limit: pageRows, bytesMax: 1_000_000 }
        await expectCount(
          store.pageHistory(recipient, page).then(({ messages }) => messages),
          pageRows,
        )
      })
      const tick = await microsecondsPerTurn(calls, async () => {
        await store.expireMessages({ now: now(), messageRetentionDays: 30, rowsMax: 200 })
      })
      return { accept, 'accept again': again, deliver, acknowledge, 'history page': history, 'retention tick': tick }
    },
    async close() {
      await store.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The engine as it is built, to be measured in this process: a frame would hide what a row costs. */
async function loadEngine(): Promise<typeof import('../../apps/broker/src/store/sqlite/sqlite-store.ts')> {
  const url = new URL('store/sqlite/sqlite-store.js', import.meta.resolve('@claudemesh/broker'))
  return await import(url.href)
}

async function admit(store: Store, { mesh, memberId, chain }: MemberIdentity): Promise<MemberKey> {
  const verdict = verifyChain({ mesh, chain, now: Date.now() })
  if (!verdict.ok) throw new Error(verdict.reason)
  const about = { hostFingerprint: null, ephemeralTtlMs: null, mayRegister: true, at: Date.now() }
  await store.admit({ ...verdict.member, mesh, chain, ...about })
  return { meshId: mesh.mesh_id, memberId }
}

function makeItem(id: string, between: { readonly sender: MemberKey; readonly recipient: MemberKey }): AcceptItem {
  const destination = { kind: 'dm', ref: between.recipient.memberId } as const
  return {
    meshId: between.sender.meshId,
    sender: between.sender.memberId,
    clientMessageId: id,
    fingerprint: wireFingerprint({ destination, replyToId: null, priority: 'next', sealed }),
    destination,
    replyTo: null,
    priority: 'next',
    recipientsEpoch: null,
    mentions: [],
    receipts: false,
    sealed,
    brokerMessageId: id,
    acceptedAt: Date.now(),
    dedupeExpiresAt: null,
  }
}

const sealed = Buffer.alloc(1_700, 7)

async function expectCount(answers: Promise<readonly unknown[]>, count: number): Promise<void> {
  const { length } = await answers
  if (length !== count) throw new Error(`there are ${length} where ${count} were asked for`)
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index]
  if (found === undefined) throw new Error('a list has its items')
  return found
}
