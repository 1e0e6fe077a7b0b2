/** The outbox with that many messages waiting in it and as many done: accept, claim, settle, and what looks for one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdSource, encodeEnvelope, wireFingerprint } from '@claudemesh/protocol'
import type { ClaimedRow, Outbox, SealableRow } from '../../apps/daemon/src/outbox/outbox.ts'
import { type Row, readRow } from '../statements.ts'
import { loadStore } from './daemon-modules.ts'
import { type GrowingTables, type Growth, microsecondsPerCall, microsecondsPerTurn } from './growth.ts'
import { fillByCopies } from './statements.ts'

export const outboxGrowth: Growth = {
  name: 'growth-outbox',
  unit: 'messages waiting, and as many done',
  operations: [
    { name: 'accept', about: 'one of 64 that share a commit' },
    { name: 'look-up by id', about: 'whether an id is taken, and by what' },
    { name: 'claim', about: 'one of 256 that share a commit' },
    { name: 'settle', about: 'one of 256 that share a commit' },
    { name: 'receipt', about: 'one of 64 that share a commit' },
    { name: 'page of waiting', about: 'the newest 50' },
    { name: 'page of done', about: '50 rows behind one in the middle' },
    { name: 'sender tick', about: 'when is there something to send' },
    { name: 'sweep tick', about: 'nothing is too old' },
    { name: 'retention step', about: '512 rows removed and the contents of 512, one commit' },
  ],
  prepare,
}

const [batchRows, claimRows, stepRows, pageRows] = [64, 256, 512, 50]
const dayMs = 86_400_000
const payload = encodeEnvelope({ metaCanonicalJson: '', body: Buffer.from('m'.repeat(100)) })

async function prepare(): Promise<GrowingTables> {
  const directory = mkdtempSync(join(tmpdir(), 'cm-growth-'))
  const path = join(directory, 'outbox.db')
  const { Outbox: Store } = await loadStore('outbox')
  const now = () => Date.now()
  const runtime = { now, monotonicMs: () => performance.now(), random: () => 0.5, nextId: createIdSource(now) }
  const outbox = Store.open({ path, runtime, acceptBatchMax: 256 })
  const user = new OutboxUser(outbox, runtime.nextId)
  await user.accept(1)
  const waiting = readRow(path, 'outbox')
  user.settle(user.claim())
  const rows = new OutboxRows(path, { waiting, done: readRow(path, 'outbox') })
  return {
    fill: (count) => rows.fill(count),
    measure: async () => {
      rows.addExpired()
      const ids = Array.from({ length: 200 }, () => rows.someId())
      const accept = await microsecondsPerTurn(4, () => user.accept(batchRows))
      let claimed: readonly ClaimedRow[] = []
      const claim = microsecondsPerCall(1, () => (claimed = user.claim()))
      if (claimed.length !== claimRows) throw new Error(`${claimed.length} rows were claimed`)
      const settle = microsecondsPerCall(1, () => user.settle(claimed))
      const receipt = microsecondsPerCall(1, () => user.recordReceipts(ids.slice(0, batchRows)))
      return {
        accept: accept / batchRows,
        claim: claim / claimRows,
        settle: settle / claimRows,
        receipt: receipt / batchRows,
        'look-up by id': microsecondsPerCall(ids.length, (n) => user.lookUp(ids[n] ?? '')),
        'page of waiting': microsecondsPerCall(20, () => user.page('pending', null)),
        'page of done': microsecondsPerCall(20, (n) => user.page('done', rows.middleId(n))),
        'sender tick': microsecondsPerCall(50, () => void outbox.nextAttemptAt(now())),
        'sweep tick': microsecondsPerCall(50, () => void outbox.expire({ now: now(), maxAgeMs: dayMs })),
        'retention step': microsecondsPerCall(1, () => user.retain()),
      }
    },
    close: () => {
      outbox.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** What the daemon does with its outbox, a batch at a time. */
class OutboxUser {
  readonly #outbox: Outbox
  readonly #nextId: () => string

  constructor(outbox: Outbox, nextId: () => string) {
    this.#outbox = outbox
    this.#nextId = nextId
  }

  async accept(count: number): Promise<void> {
    const drafts = Array.from({ length: count }, () => ({
      id: this.#nextId(),
      clientMessageId: this.#nextId(),
      requestFingerprint: Buffer.alloc(32, 1),
      destinationKind: 'dm' as const,
      destinationRef: 'b'.repeat(64),
      priority: 'next' as const,
      payload,
      messageBytes: 100,
      replyToId: null,
      mentions: [],
      addressed: '@bob',
      receipts: true,
    }))
    const outcomes = await Promise.all(drafts.map((draft) => this.#outbox.accept(draft)))
    if (!outcomes.every(({ inserted }) => inserted)) throw new Error('a new id was taken')
  }

  claim(): readonly ClaimedRow[] {
    const bounds = { now: Date.now(), rowsMax: claimRows, bytesMax: 1e9, firstRegardless: true }
    return this.#outbox.claim({ ...bounds, seal: sealPlainly }).rows
  }

  settle(rows: readonly ClaimedRow[]): void {
    const settlements = rows.map(({ id }) => ({
      outboxId: id,
      move: 'accepted' as const,
      brokerMessageId: this.#nextId(),
      historyId: '1',
      recipientCount: 1,
    }))
    const { settled } = this.#outbox.settle(settlements)
    this.#outbox.forgetAnnouncements(Number.MAX_SAFE_INTEGER)
    if (settled.length !== rows.length) throw new Error('an inflight row was not settled')
  }

  /** Of messages that are done. */
  recordReceipts(ids: readonly string[]): void {
    const items = ids.map((id) => ({
      delivery_id: this.#nextId(),
      broker_message_id: id,
      client_message_id: id,
      recipient: this.#nextId(),
      state: 'delivered' as const,
      at: Date.now(),
    }))
    this.#outbox.recordReceipts(items)
  }

  lookUp(id: string): void {
    if (this.#outbox.getByClientMessageId(id) === null) throw new Error('an id that is taken was not found')
  }

  page(status: 'pending' | 'done', after: string | null): void {
    const rows = this.#outbox.list({ status, after, limit: pageRows })
    if (rows?.length !== pageRows) throw new Error(`a page has ${rows?.length} rows`)
  }

  retain(): void {
    const { stripped, deleted } = this.#outbox.retain({ now: Date.now(), dedupeRetentionDays: null })
    if (stripped !== stepRows || deleted !== stepRows) throw new Error('a step of retention did less')
  }
}

function sealPlainly({ payload: contents, destinationRef: ref, replyToId, priority }: SealableRow) {
  const sealed = contents ?? Buffer.alloc(0)
  const fingerprint = wireFingerprint({ destination: { kind: 'dm', ref }, replyToId, priority, sealed })
  return { sealed, wireFingerprint: fingerprint, recipientsEpoch: null }
}

/** The rows that are there before anything is measured. Ids say what they are: `w` waits, `d` is done. */
class OutboxRows {
  readonly #path: string
  readonly #waiting: Row
  readonly #done: Row
  #rows = 0
  #expired = 0

  constructor(path: string, like: { readonly waiting: Row; readonly done: Row }) {
    this.#path = path
    this.#waiting = like.waiting
    this.#done = { ...like.done, payload: Buffer.alloc(0), sealed: null }
  }

  fill(rows: number): void {
    const [first, count] = [this.#rows, rows - this.#rows]
    const at = Date.now() - 2_000_000
    const differing = (kind: string) => ({
      ...idsOf(kind),
      destination_ref: `printf('%064x', n % 100)`,
      enqueued_at: `${at} + n`,
      reply_to_id: `CASE WHEN n % 4 = 0 THEN printf('d%025d', n / 4) END`,
    })
    const done = { ...differing('d'), broker_message_id: `printf('d%025d', n)`, delivered_at: `${at} + n` }
    fillByCopies(this.#path, [
      { table: 'outbox', like: this.#done, differing: done, first, count },
      { table: 'outbox', like: this.#waiting, differing: differing('w'), first, count },
    ])
    this.#rows = rows
  }

  /** One step's worth of rows that are to go, and of such whose contents are to go. */
  addExpired(): void {
    const done = { table: 'outbox', first: this.#expired, count: stepRows }
    const [old, older] = [Date.now() - 2 * dayMs, Date.now() - 40 * dayMs]
    fillByCopies(this.#path, [
      { ...done, like: { ...this.#done, payload, delivered_at: old }, differing: idsOf('s') },
      { ...done, like: { ...this.#done, delivered_at: older }, differing: idsOf('x') },
    ])
    this.#expired += stepRows
  }

  /** Of a message that is done: its outbox id, client id and broker id are the same. */
  someId(): string {
    return idOf('d', Math.floor(Math.random() * this.#rows))
  }

  /** Likewise. */
  middleId(offset: number): string {
    return idOf('d', Math.floor(this.#rows / 2) + offset)
  }
}

function idsOf(kind: string) {
  const id = `printf('${kind}%025d', n)`
  return { id, client_message_id: id }
}

function idOf(kind: string, n: number): string {
  return `${kind}${String(n).padStart(25, '0')}`
}
