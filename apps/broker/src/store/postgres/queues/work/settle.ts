/** What becomes of work that was given out. What is decided is in queue-states.ts. */
import assert from 'node:assert/strict'
import { crashPoint } from '@claudemesh/storage'
import type { Session } from '@claudemesh/storage/postgres'
import { judgeSettlement } from '../../../queue-states.ts'
import type { SettleItem, SettleOutcome } from '../../../queues.ts'
import type { MemberKey } from '../../../rows.ts'
import { lockMeshes } from '../../statements.ts'
import {
  type Fact,
  holdExhausted,
  holdWork,
  leaveReceipts,
  listExhausted,
  type Settled,
  saveSettled,
  type Work,
} from './statements.ts'

type Outcome = SettleOutcome['outcomes'][number]

export async function settleAll(
  session: Session,
  settling: { readonly member: MemberKey; readonly items: readonly SettleItem[]; readonly now: number },
): Promise<SettleOutcome> {
  const { member, items, now } = settling
  // Receipts take numbers of the mesh.
  await lockMeshes(session, [member.meshId])
  const ids = items.map((item) => item.brokerMessageId)
  const found = await holdWork(session, member.meshId, ids)
  const batch = new Batch(found, now)
  const outcomes = items.map((item) => batch.settle(member, item))
  const { facts } = batch
  await batch.save(session)
  crashPoint('broker.settle.before-commit')
  return {
    outcomes,
    notified: [...new Set(facts.map(({ work }) => work.sender))],
    returnedTo: [...batch.returnedTo],
  }
}

/** Settles in memory, item after item, and saves what has changed at once. */
class Batch {
  readonly facts: Fact[] = []
  readonly returnedTo = new Set<string>()
  readonly #work: Map<string, Work>
  readonly #changes = new Map<string, Settled>()
  readonly #now: number

  constructor(work: readonly Work[], now: number) {
    this.#work = new Map(work.map((each) => [each.brokerMessageId, each]))
    this.#now = now
  }

  settle(member: MemberKey, item: SettleItem): Outcome {
    const work = this.#work.get(item.brokerMessageId)
    if (work === undefined) return 'unknown'
    const verdict = judgeSettlement(work, { ...item, memberId: member.memberId })
    if (verdict !== 'finish' && verdict !== 'return' && verdict !== 'extend') return verdict
    const recipient = member.memberId
    switch (item.action) {
      case 'ack':
        this.#change(work, { state: 'done', visibleAt: null, settledAt: this.#now, reason: null })
        this.#tell({ work, recipient, state: 'delivered', reason: null })
        return 'done'
      case 'nack':
        if (work.lastTry) {
          this.bury(work, item.reason)
          return 'dead'
        }
        this.#change(work, { state: 'ready', visibleAt: item.visibleAt, settledAt: null, reason: item.reason })
        this.returnedTo.add(work.queue)
        return 'returned'
      case 'extend':
        this.#change(work, { state: 'leased', visibleAt: item.leaseUntil, settledAt: null, reason: work.reason })
        return 'extended'
      default:
        return item satisfies never
    }
  }

  bury(work: Work, reason: string): void {
    assert(work.leasedBy !== null, 'what is at its last delivery was delivered')
    this.#change(work, { state: 'dead', visibleAt: null, settledAt: this.#now, reason })
    this.#tell({ work, recipient: work.leasedBy, state: 'undeliverable', reason: 'max_deliveries' })
  }

  async save(session: Session): Promise<void> {
    const changes = [...this.#changes.values()]
    if (changes.length === 0) return
    assert.equal(await saveSettled(session, changes), changes.length, 'what is locked stays as it was found')
    if (this.facts.length > 0) await leaveReceipts(session, this.facts, this.#now)
  }

  #change(work: Work, change: Omit<Settled, 'id'>): void {
    const id = work.brokerMessageId
    this.#changes.set(id, { id, ...change })
    this.#work.set(id, { ...work, state: change.state, reason: change.reason })
  }

  #tell(fact: Fact): void {
    if (fact.work.receipts) this.facts.push(fact)
  }
}

export async function buryExhausted(
  session: Session,
  options: { readonly now: number; readonly rowsMax: number },
): Promise<{ readonly rows: number; readonly notified: readonly MemberKey[] }> {
  const exhausted = await listExhausted(session, options)
  if (exhausted.length === 0) return { rows: 0, notified: [] }
  await lockMeshes(
    session,
    exhausted.map((work) => work.meshId),
  )
  const ids = exhausted.map((work) => work.brokerMessageId)
  const batch = new Batch([], options.now)
  const held = await holdExhausted(session, ids, options.now)
  for (const work of held) batch.bury(work, work.state === 'ready' ? (work.reason ?? 'lease_over') : 'lease_over')
  await batch.save(session)
  crashPoint('broker.bury.before-commit')
  const notified = new Map(
    batch.facts.map(({ work: { meshId, sender } }) => [`${meshId}/${sender}`, { meshId, memberId: sender }]),
  )
  return { rows: held.length, notified: [...notified.values()] }
}
