import type { Priority } from '@claudemesh/protocol'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  acceptedBy,
  claimAll,
  draftOf,
  type OpenOutbox,
  sealPlainly,
  temporaryOutbox,
} from '../../../../test/support/outbox.ts'
import type { AcceptClaimOptions, OutboxDraft } from './outbox.ts'

let opened: OpenOutbox
let options: AcceptClaimOptions | null
let claimed: string[][]

const wide: AcceptClaimOptions = { rowsMax: 256, bytesMax: 1e9, seal: sealPlainly }

beforeEach(async () => {
  opened = await temporaryOutbox()
  options = wide
  claimed = []
  watch()
})

function watch(): void {
  opened.outbox.claimWithAccepts({
    options: () => options,
    claimed: (rows) => claimed.push(rows.map((row) => row.clientMessageId)),
  })
}

const draft = (clientMessageId: string, fields: Partial<OutboxDraft> = {}) =>
  draftOf(opened.runtime, { clientMessageId, ...fields })
/** All in one commit. */
const accept = (...drafts: readonly OutboxDraft[]) => Promise.all(drafts.map((one) => opened.outbox.accept(one)))

describe('a row that is claimed by the commit that stores it', () => {
  it('is inflight with frozen bytes, answered as any other, and settled as any other', async () => {
    const one = draft('one')
    const [outcome] = await accept(one)
    expect(outcome).toMatchObject({ inserted: true, row: { id: one.id, status: 'pending' } })
    expect(claimed).toEqual([['one']])
    const { sealed, wireFingerprint } = sealPlainly(one)
    expect(opened.outbox.get(one.id)).toMatchObject({ status: 'inflight', sealed, wireFingerprint, attempts: 0 })
    expect(opened.outbox.counts()).toMatchObject({ pending: 0, inflight: 1 })
    opened.outbox.settle([acceptedBy(one.id)])
    expect(opened.outbox.counts()).toMatchObject({ inflight: 0, done: 1 })
  })

  it('is pending again after a crash, with the same bytes', async () => {
    const one = draft('one')
    await accept(one)
    const after = opened.reopen()
    expect(after.recovered).toBe(1)
    expect(after.get(one.id)).toMatchObject({ status: 'pending', attempts: 1, sealed: sealPlainly(one).sealed })
  })

  it('does not come twice, in one commit or in two', async () => {
    await accept(draft('one'), draft('one'))
    await accept(draft('one'), draft('two'))
    expect(claimed).toEqual([['one'], ['two']])
    expect(opened.outbox.counts()).toMatchObject({ pending: 0, inflight: 2 })
  })

  it('is transmitted by its priority among those of its commit', async () => {
    const of = (id: string, priority: Priority) => draft(id, { priority })
    await accept(of('a', 'low'), of('b', 'next'), of('c', 'now'), of('d', 'next'))
    expect(claimed).toEqual([['c', 'b', 'd', 'a']])
  })
})

describe('a row waits for the claim', () => {
  const kept = () => claimAll(opened).map((row) => row.clientMessageId)

  it('while any other is pending, whatever that waits for', async () => {
    options = null
    await accept(draft('first'))
    options = wide
    await accept(draft('second'))
    expect(claimed).toEqual([])
    expect(kept()).toEqual(['first', 'second'])
    await accept(draft('third'))
    expect(claimed).toEqual([['third']])
  })

  it('when there is no room for it, and so do all behind it', async () => {
    options = { ...wide, rowsMax: 2 }
    await accept(draft('a'), draft('b'), draft('c'), draft('d'))
    expect(claimed).toEqual([['a', 'b']])
    expect(kept()).toEqual(['c', 'd'])
  })

  it('when its bytes do not fit, and so do all behind it', async () => {
    options = { ...wide, bytesMax: 1_000 }
    await accept(draft('a'), draft('b', { payload: Buffer.alloc(2_000, 1) }), draft('c'))
    expect(claimed).toEqual([['a']])
    expect(kept()).toEqual(['b', 'c'])
  })

  it('when it cannot be sealed now, and so do all behind it', async () => {
    options = { ...wide, seal: (row) => (row.clientMessageId === 'b' ? null : sealPlainly(row)) }
    await accept(draft('a'), draft('b'), draft('c'))
    expect(claimed).toEqual([['a']])
    expect(kept()).toEqual(['b', 'c'])
  })

  it('when its commit fails, of which nobody is told', async () => {
    options = {
      ...wide,
      seal: () => {
        throw new Error('a mistake of ours')
      },
    }
    await expect(accept(draft('a'))).rejects.toThrow('a mistake of ours')
    expect(claimed).toEqual([])
    expect(opened.outbox.counts()).toMatchObject({ pending: 0, inflight: 0 })
  })
})
