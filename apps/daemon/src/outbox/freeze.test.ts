import { expect, test } from 'vitest'
import { claimAll, countingSeal, draftOf, type OpenOutbox, temporaryOutbox } from '../../../../test/support/outbox.ts'
import type { ClaimOptions, SealableRow } from './outbox.ts'

function frozenIn({ outbox }: OpenOutbox, clientMessageId: string): Buffer | null {
  return outbox.getByClientMessageId(clientMessageId)?.sealed ?? null
}

function claimWith(opened: OpenOutbox, seal: ClaimOptions['seal']) {
  const { outbox, runtime } = opened
  return outbox.claim({ now: runtime.now(), rowsMax: 256, bytesMax: 1e9, firstRegardless: true, seal })
}

test('a row is transmitted with the bytes that it was frozen with, and so is its copy', async () => {
  const opened = await temporaryOutbox()
  const draft = draftOf(opened.runtime)
  await opened.outbox.accept(draft)
  expect(opened.outbox.freeze({ after: 0, rowsMax: 256, seal: countingSeal() })).toEqual({
    frozen: 1,
    unsealed: 0,
    next: null,
  })
  const frozen = frozenIn(opened, draft.clientMessageId)
  const copy = opened.copy()
  expect(copy.getByClientMessageId(draft.clientMessageId)?.sealed).toEqual(frozen)
  copy.close()
  expect(claimAll(opened)).toMatchObject([{ sealed: frozen }])
})

test('rows are frozen batch by batch, each once, and what is not pending is left alone', async () => {
  const opened = await temporaryOutbox()
  await opened.outbox.accept(draftOf(opened.runtime, { clientMessageId: 'on-its-way' }))
  claimAll(opened)
  const onItsWay = frozenIn(opened, 'on-its-way')
  for (let n = 0; n < 5; n += 1) await opened.outbox.accept(draftOf(opened.runtime, { clientMessageId: `row-${n}` }))
  const seal = countingSeal()
  const batches: number[] = []
  for (let after: number | null = 0; after !== null; ) {
    const batch = opened.outbox.freeze({ after, rowsMax: 2, seal })
    batches.push(batch.frozen)
    after = batch.next
  }
  expect(batches).toEqual([2, 2, 1])
  expect(seal.calls).toBe(5)
  expect(opened.outbox.freeze({ after: 0, rowsMax: 2, seal })).toEqual({ frozen: 0, unsealed: 0, next: null })
  expect(frozenIn(opened, 'on-its-way')).toEqual(onItsWay)
})

test('a row that cannot be sealed is counted and stays as it was, for the claim to judge', async () => {
  const opened = await temporaryOutbox()
  for (const id of ['unknown', 'hopeless', 'fine']) {
    await opened.outbox.accept(draftOf(opened.runtime, { clientMessageId: id }))
  }
  const sealFine = countingSeal()
  const seal = (row: SealableRow) => {
    if (row.clientMessageId === 'unknown') return { postponedMs: 1_000 }
    return row.clientMessageId === 'hopeless' ? { refused: 'recipient_unknown: nobody' } : sealFine(row)
  }
  expect(opened.outbox.freeze({ after: 0, rowsMax: 9, seal })).toEqual({ frozen: 1, unsealed: 2, next: null })
  expect(opened.outbox.counts()).toMatchObject({ pending: 3, dead: 0 })
  expect(claimWith(opened, seal)).toMatchObject({
    rows: [{ clientMessageId: 'fine' }],
    unsealable: [{ lastError: 'recipient_unknown: nobody' }],
    postponed: 1,
  })
})

test('a row that waited for its recipients and is frozen waits no longer', async () => {
  const opened = await temporaryOutbox()
  await opened.outbox.accept(draftOf(opened.runtime))
  expect(claimWith(opened, () => ({ postponedMs: 60_000 }))).toMatchObject({ rows: [], postponed: 1 })
  expect(claimAll(opened)).toEqual([])
  opened.outbox.freeze({ after: 0, rowsMax: 9, seal: countingSeal() })
  expect(claimAll(opened)).toHaveLength(1)
})

test('only what is still to be sent is noted as restored, what was on its way included', async () => {
  const opened = await temporaryOutbox()
  await opened.outbox.accept(draftOf(opened.runtime, { clientMessageId: 'dropped' }))
  const dropped = opened.outbox.getByClientMessageId('dropped')
  opened.outbox.drop({ id: dropped?.id ?? '', by: 'operator' })
  await opened.outbox.accept(draftOf(opened.runtime, { clientMessageId: 'on-its-way' }))
  claimAll(opened)
  await opened.outbox.accept(draftOf(opened.runtime, { clientMessageId: 'waiting' }))
  const restored = opened.copy()
  expect(restored.markRestored()).toBe(2)
  const restoredAt = (id: string) => restored.getByClientMessageId(id)?.restoredAt
  expect(['dropped', 'on-its-way', 'waiting'].map(restoredAt)).toEqual([
    null,
    opened.runtime.now(),
    opened.runtime.now(),
  ])
  restored.close()
})
