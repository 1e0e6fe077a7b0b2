import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { memberIdOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { type SealedFields, SealingMembers } from '../../../../test/support/sealing-members.ts'
import { silentLog } from '../../../../test/support/silent-log.ts'
import { Inbox } from '../inbox/inbox.ts'
import { reopenBatchMax } from '../limits.ts'
import type { OpenMessage } from './open.ts'
import { toDraft } from './receive.ts'
import { Reopener, type ReopenerOptions } from './reopen.ts'

function reopening(differing: Partial<ReopenerOptions> = {}) {
  const runtime = new ManualRuntime()
  const { inbox } = Inbox.open({ path: join(scratchDirectory(), 'inbox.db'), runtime })
  onTestFinished(() => inbox.close())
  const sealing = new SealingMembers()
  for (const name of ['alice', 'bob']) sealing.boxOf(name)
  const open: OpenMessage = (claim) => sealing.openerOf('me')(claim)
  let stored = 0
  const reopener = new Reopener({
    inbox,
    open,
    takeElsewhere: () => null,
    onStored: () => {
      stored += 1
    },
    log: silentLog(),
    ...differing,
  })
  /** Keeps messages as they can be opened now. */
  const arrive = (n: number, fields: SealedFields = {}) => {
    const { delivery_id: _, ...item } = sealing.delivery(n, fields)
    return inbox.store([toDraft(item, open)])
  }
  const page = () =>
    inbox.page({ order: 'oldest', after: null, since: null, topic: null, sender: null, unread: false, limit: 500 }).rows
  const reasons = () => page().map((row) => row.unopenedReason)
  return { inbox, sealing, reopener, arrive, page, reasons, stored: () => stored }
}

test('a message opens when the key of its sender is learnt, and is published as new', async () => {
  const { inbox, sealing, reopener, arrive, reasons, stored } = reopening()
  sealing.estrange('alice')
  arrive(1, { text: 'late' })
  arrive(2, { sender: memberIdOf('bob') })
  expect(reasons()).toEqual(['sender_unknown', null])
  const lastSeq = inbox.lastSeq
  sealing.introduce('alice')
  reopener.sendersLearnt([memberIdOf('alice')])
  await reopener.settled()
  const row = inbox.get(messageIdOf(1))
  expect(row).toMatchObject({ opened: true, body: 'late', unopenedReason: null })
  expect(row?.seq).toBeGreaterThan(lastSeq)
  expect([stored(), inbox.counts().messages]).toEqual([1, 2])
})

test('only messages of the members whose keys were learnt are tried', async () => {
  const { sealing, reopener, arrive, reasons } = reopening()
  for (const name of ['alice', 'bob']) sealing.estrange(name)
  arrive(1)
  arrive(2, { sender: memberIdOf('bob') })
  for (const name of ['alice', 'bob']) sealing.introduce(name)
  reopener.sendersLearnt([memberIdOf('bob')])
  await reopener.settled()
  expect(reasons()).toEqual(['sender_unknown', null])
  reopener.start()
  await reopener.settled()
  expect(reasons()).toEqual([null, null])
})

test('what still does not open says why as it is now', async () => {
  const { sealing, reopener, arrive, reasons } = reopening()
  sealing.estrange('alice')
  arrive(1, { for: ['carol'] })
  sealing.introduce('alice')
  reopener.sendersLearnt([memberIdOf('alice')])
  await reopener.settled()
  expect(reasons()).toEqual(['not_a_recipient'])
})

test('messages for a key that comes back open', async () => {
  const { sealing, reopener, arrive, reasons } = reopening({
    open: (claim) => sealing.openerOf('carol')(claim),
  })
  arrive(1, { for: ['carol'] })
  expect(reasons()).toEqual(['not_a_recipient'])
  reopener.ownKeysChanged()
  await reopener.settled()
  expect(reasons()).toEqual([null])
})

test('more messages than one step tries are all tried', async () => {
  const { sealing, reopener, arrive, reasons } = reopening()
  sealing.estrange('alice')
  for (let n = 1; n <= reopenBatchMax * 2 + 3; n += 1) arrive(n)
  sealing.introduce('alice')
  reopener.start()
  await reopener.settled()
  expect(reasons().filter((reason) => reason !== null)).toEqual([])
})

test('what is learnt during a run is tried too', async () => {
  const { sealing, reopener, arrive, reasons } = reopening()
  for (const name of ['alice', 'bob']) sealing.estrange(name)
  arrive(1)
  arrive(2, { sender: memberIdOf('bob') })
  sealing.introduce('alice')
  reopener.sendersLearnt([memberIdOf('alice')])
  await new Promise(setImmediate)
  sealing.introduce('bob')
  reopener.sendersLearnt([memberIdOf('bob')])
  await reopener.settled()
  expect(reasons()).toEqual([null, null])
})

test('a disk that refuses costs the attempt and not the message', async () => {
  const opened = reopening()
  const { inbox, sealing, arrive, reasons } = opened
  sealing.estrange('alice')
  arrive(1)
  sealing.introduce('alice')
  let isFull = true
  const reopener = new Reopener({
    inbox: {
      unopened: (o) => inbox.unopened(o),
      storeRetried: (o) => {
        if (isFull) throw new MeshError('insufficient_storage')
        inbox.storeRetried(o)
      },
      removeUnopened: (seq) => inbox.removeUnopened(seq),
    },
    open: (claim) => sealing.openerOf('me')(claim),
    takeElsewhere: () => null,
    onStored: () => undefined,
    log: silentLog(),
  })
  reopener.start()
  await reopener.settled()
  expect(reasons()).toEqual(['sender_unknown'])
  isFull = false
  reopener.start()
  await reopener.settled()
  expect(reasons()).toEqual([null])
})

test('what is about a space goes where it goes when it opens at once, and is no message', async () => {
  const taken: string[] = []
  let done: () => void = () => undefined
  const { inbox, sealing, reopener, arrive, page, stored } = reopening({
    takeElsewhere: ({ content }) => {
      if (!content.opened || content.body !== 'decide') return null
      taken.push(content.body)
      return new Promise((resolve) => {
        done = resolve
      })
    },
  })
  sealing.estrange('alice')
  arrive(1, { text: 'decide' })
  arrive(2)
  sealing.introduce('alice')
  reopener.start()
  await reopener.settled()
  expect([taken, page().map((row) => row.unopenedReason), stored()]).toEqual([['decide'], ['sender_unknown', null], 1])
  // Until it was dealt with it may be needed again.
  done()
  await nextTurn()
  expect(page().map(({ body }) => body)).toEqual(['message 2'])
  expect(inbox.counts()).toEqual({ messages: 1, unread: 1 })
  reopener.start()
  await reopener.settled()
  expect(taken).toEqual(['decide'])
})

test('nothing is tried after the stop', async () => {
  const { sealing, reopener, arrive, reasons } = reopening()
  sealing.estrange('alice')
  arrive(1)
  sealing.introduce('alice')
  await reopener.stop()
  reopener.start()
  await reopener.settled()
  expect(reasons()).toEqual(['sender_unknown'])
})
