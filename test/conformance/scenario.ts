/** A mesh of three in a store, and what its members do there: the words that the suites of this folder are told in. */
import { verifyChain } from '@claudemesh/identity'
import { type Destination, wireFingerprint } from '@claudemesh/protocol'
import { expect } from 'vitest'
import type { MemberKey } from '../../apps/broker/src/store/rows.ts'
import type { AcceptItem, AcceptOutcome, Admission } from '../../apps/broker/src/store/store.ts'
import { type MemberIdentity, RawMesh } from '../support/raw-mesh.ts'
import type { Engine, Table } from './engines.ts'

const dayMs = 86_400_000

export async function openWithMembers(open: () => Promise<Engine>) {
  const engine = await open()
  const mesh = new RawMesh()
  const alice = await admit(engine, mesh.founder)
  const people = { alice: mesh.founder, bob: mesh.join('bob'), carol: mesh.join('carol') }
  const bob = await admit(engine, people.bob)
  const carol = await admit(engine, people.carol)
  return { engine, mesh, people, alice, bob, carol }
}

export async function admit(
  engine: Engine,
  identity: MemberIdentity,
  more: Partial<Admission> = {},
): Promise<MemberKey> {
  const outcome = await engine.store.admit({ ...admissionOf(engine, identity), ...more })
  expect(outcome.kind).toBe('admitted')
  return { meshId: identity.mesh.mesh_id, memberId: identity.memberId }
}

export function admissionOf(engine: Engine, identity: MemberIdentity): Admission {
  const { mesh, chain } = identity
  const verdict = verifyChain({ mesh, chain, now: Date.now() })
  if (!verdict.ok) throw new Error(verdict.reason)
  const about = { hostFingerprint: null, ephemeralTtlMs: null, mayRegister: true, at: engine.clock.now() }
  return { ...verdict.member, mesh, chain, ...about }
}

export function subscribe(engine: Engine, member: MemberKey, topic: string) {
  return engine.store.subscribe(member, { topic, subscribed: true, at: engine.clock.now() })
}

export function makeItem(
  engine: Engine,
  from: MemberKey,
  destination: Destination,
  more: {
    readonly id?: string
    readonly text?: string
    readonly mentions?: readonly string[]
    readonly receipts?: boolean
  } = {},
): AcceptItem {
  const sealed = Buffer.from(more.text ?? 'text', 'utf8')
  return {
    meshId: from.meshId,
    sender: from.memberId,
    clientMessageId: more.id ?? engine.clock.nextId(),
    fingerprint: wireFingerprint({ destination, replyToId: null, priority: 'next', sealed }),
    destination,
    replyTo: null,
    priority: 'next',
    recipientsEpoch: null,
    mentions: more.mentions ?? [],
    receipts: more.receipts ?? true,
    sealed,
    brokerMessageId: engine.clock.nextId(),
    acceptedAt: engine.clock.now(),
    dedupeExpiresAt: engine.clock.now() + 100 * dayMs,
  }
}

export async function acceptOne(engine: Engine, item: AcceptItem): Promise<AcceptOutcome> {
  const [outcome] = await engine.store.acceptBatch([item])
  if (outcome === undefined) throw new Error('an outcome for every item')
  return outcome
}

export async function sendMany(
  engine: Engine,
  options: {
    readonly from: MemberKey
    readonly to: MemberKey
    readonly count: number
    readonly bytes?: number
    readonly receipts?: boolean
  },
): Promise<void> {
  const { from, to, count, bytes = 4, receipts = true } = options
  const items = Array.from({ length: count }, () =>
    makeItem(engine, from, { kind: 'dm', ref: to.memberId }, { text: 'x'.repeat(bytes), receipts }),
  )
  const outcomes = await engine.store.acceptBatch(items)
  expect(outcomes.every((outcome) => outcome.kind === 'stored')).toBe(true)
}

/** Claims messages. @returns their delivery ids */
export async function claim(
  engine: Engine,
  member: MemberKey,
  options: { readonly connectionId: string; readonly itemsMax?: number; readonly bytesMax?: number },
): Promise<readonly number[]> {
  const { deliveries } = await engine.store.claim({
    ...member,
    leaseMs: 30_000,
    itemsMax: 100,
    bytesMax: 1_000_000,
    ...options,
  })
  return deliveries.map((delivery) => delivery.deliveryId)
}

export function acknowledge(
  engine: Engine,
  member: MemberKey,
  deliveryIds: readonly number[],
): Promise<readonly string[]> {
  return engine.store.acknowledge(
    member,
    deliveryIds.map((deliveryId) => ({ deliveryId, outcome: 'stored' })),
  )
}

export function historyIdOf(outcome: AcceptOutcome | undefined): number | null {
  return outcome?.kind === 'stored' ? outcome.historyId : null
}

/** How many rows each of the tables has. */
export async function countAll(engine: Engine, tables: readonly Table[]): Promise<readonly number[]> {
  const counts: number[] = []
  for (const table of tables) counts.push(await engine.count(table))
  return counts
}
