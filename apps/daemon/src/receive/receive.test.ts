import { join } from 'node:path'
import { type DeliveryItem, MeshError, type ReceiptItem } from '@claudemesh/protocol'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { memberIdOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { type SealedFields, SealingMembers } from '../../../../test/support/sealing-members.ts'
import { silentLog } from '../../../../test/support/silent-log.ts'
import { Inbox } from '../inbox/inbox.ts'
import { receiveQueueMax, receiveRetryMs } from '../limits.ts'
import { type Acknowledgement, Receiver, type ReceiverOptions } from './receive.ts'

const sealing = new SealingMembers()
const delivery = (n: number, fields: SealedFields = {}) => sealing.delivery(n, fields)

function receipt(n: number): ReceiptItem {
  return {
    delivery_id: `r${n}`,
    broker_message_id: messageIdOf(n),
    client_message_id: `client-${n}`,
    recipient: memberIdOf('bob'),
    state: 'delivered',
    at: n,
  }
}

function receiving(differing: Partial<ReceiverOptions> = {}) {
  const { inbox } = Inbox.open({ path: join(scratchDirectory(), 'inbox.db'), runtime: new ManualRuntime() })
  const acknowledged: Acknowledgement[] = []
  const recorded: ReceiptItem[] = []
  const calls = { stored: 0, receipts: 0, lookedUp: 0 }
  const receiver = new Receiver({
    inbox,
    outbox: { recordReceipts: (items) => recorded.push(...items) },
    open: sealing.openerOf('me'),
    acknowledge: (items) => {
      acknowledged.push(...items)
      return true
    },
    onStored: () => {
      calls.stored += 1
    },
    onReceipts: () => {
      calls.receipts += 1
    },
    lookForSenders: async () => {
      calls.lookedUp += 1
    },
    takeElsewhere: () => null,
    log: silentLog(),
    ...differing,
  })
  const page = () =>
    inbox.page({ order: 'oldest', after: null, since: null, topic: null, sender: null, unread: false, limit: 500 }).rows
  return { inbox, receiver, acknowledged, recorded, calls, page }
}

describe('a delivery', () => {
  test('is acknowledged after it is in the inbox, and not before', async () => {
    const inboxAtAcknowledgement: number[] = []
    const { inbox, receiver } = receiving({
      acknowledge: () => {
        inboxAtAcknowledgement.push(inbox.counts().messages)
        return true
      },
    })
    receiver.deliver([delivery(1), delivery(2)])
    expect(inboxAtAcknowledgement).toEqual([])
    await receiver.stop()
    expect(inboxAtAcknowledgement).toEqual([2])
    inbox.close()
  })

  const outcomes: readonly { name: string; items: readonly DeliveryItem[]; outcome: readonly string[] }[] = [
    { name: 'new', items: [delivery(1)], outcome: ['stored'] },
    { name: 'repeated', items: [delivery(1), delivery(1, { delivery_id: 'd9' })], outcome: ['stored', 'duplicate'] },
    {
      name: 'that cannot be opened, however often',
      items: [delivery(1, { sealed: 'eHg=' }), delivery(1, { sealed: 'eHg=' })],
      outcome: ['undecryptable', 'undecryptable'],
    },
    {
      name: 'that cannot be opened of a message that could be',
      items: [delivery(1), delivery(1, { sealed: 'eHg=' })],
      outcome: ['stored', 'duplicate'],
    },
    {
      name: 'under the id of another message',
      items: [delivery(1), delivery(2, { broker_message_id: messageIdOf(1) })],
      outcome: ['stored', 'rejected'],
    },
    { name: 'whose bytes are no base64', items: [delivery(1, { sealed: '*' })], outcome: ['undecryptable'] },
  ]
  for (const { name, items, outcome } of outcomes) {
    test(`${name} is answered with ${outcome.join(', ')}`, async () => {
      const { inbox, receiver, acknowledged } = receiving()
      receiver.deliver(items)
      await receiver.stop()
      expect(acknowledged.map((item) => item.outcome)).toEqual(outcome)
      expect(acknowledged.map((item) => item.delivery_id)).toEqual(items.map((item) => item.delivery_id))
      inbox.close()
    })
  }

  describe('while the disk refuses', () => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    /** A receiver whose disk refuses the first `refusals` attempts. */
    function onRefusingDisk(refusals: number) {
      let attempts = 0
      const store = (drafts: Parameters<Inbox['store']>[0]) => {
        attempts += 1
        if (attempts <= refusals) throw new MeshError('insufficient_storage')
        return opened.inbox.store(drafts)
      }
      const opened = receiving({ inbox: { store } })
      return { ...opened, attempts: () => attempts }
    }

    const turn = () => new Promise(setImmediate)

    test('is not acknowledged, says why, and is stored when the disk takes it', async () => {
      const { inbox, receiver, acknowledged } = onRefusingDisk(2)
      receiver.deliver([delivery(1)])
      await turn()
      expect(acknowledged).toEqual([])
      expect(receiver.condition).toMatchObject({ code: 'insufficient_storage' })
      for (let n = 0; n < 2; n += 1) {
        vi.advanceTimersByTime(receiveRetryMs)
        await turn()
      }
      expect(acknowledged).toEqual([{ delivery_id: 'd1', outcome: 'stored' }])
      expect(receiver.condition).toBeNull()
      inbox.close()
    })

    test('is not overtaken by what came after it', async () => {
      const { inbox, receiver, acknowledged, page, attempts } = onRefusingDisk(1)
      receiver.deliver([delivery(1), delivery(2)])
      await turn()
      receiver.deliver([delivery(3)])
      await turn()
      await turn()
      expect([acknowledged, attempts()]).toEqual([[], 1])
      vi.advanceTimersByTime(receiveRetryMs)
      await turn()
      expect(page().map((row) => row.historyId)).toEqual(['1', '2', '3'])
      expect(acknowledged.map((item) => item.delivery_id)).toEqual(['d1', 'd2', 'd3'])
      inbox.close()
    })

    test('does not keep the daemon from stopping, and receipts are recorded all the same', async () => {
      const { inbox, receiver, acknowledged } = onRefusingDisk(Number.POSITIVE_INFINITY)
      receiver.deliver([delivery(1)])
      await turn()
      receiver.receipts([receipt(1)])
      await receiver.stop()
      expect(acknowledged).toEqual([{ delivery_id: 'r1', outcome: 'stored' }])
      expect(vi.getTimerCount()).toBe(0)
      inbox.close()
    })
  })

  test('wakes the publisher once per commit', async () => {
    const { inbox, receiver, calls } = receiving()
    receiver.deliver([delivery(1), delivery(2)])
    await receiver.stop()
    expect(calls).toEqual({ stored: 1, receipts: 0, lookedUp: 0 })
    inbox.close()
  })

  test('beyond the bound of the queue is left to come again', async () => {
    const { inbox, receiver, acknowledged } = receiving()
    const items = Array.from({ length: receiveQueueMax + 10 }, (_, index) => delivery(index + 1))
    receiver.deliver(items)
    await receiver.stop()
    expect(acknowledged).toHaveLength(receiveQueueMax)
    expect(inbox.counts().messages).toBe(receiveQueueMax)
    inbox.close()
  })

  test('after the stop is not taken', async () => {
    const { inbox, receiver, acknowledged } = receiving()
    await receiver.stop()
    receiver.deliver([delivery(1)])
    await new Promise(setImmediate)
    expect(acknowledged).toEqual([])
    inbox.close()
  })

  test('is kept when there is no connection to acknowledge it on', async () => {
    const { inbox, receiver } = receiving({ acknowledge: () => false })
    receiver.deliver([delivery(1)])
    await receiver.stop()
    expect(inbox.counts().messages).toBe(1)
    inbox.close()
  })
})

describe('a delivery of a sender whose key nobody here knows', () => {
  const bob = memberIdOf('bob')

  /** A receiver whose directory is read when the test says so. */
  function withDirectory() {
    const looks: { readonly memberIds: readonly string[]; readonly end: () => void }[] = []
    sealing.boxOf('bob')
    sealing.estrange('bob')
    const opened = receiving({
      lookForSenders: (memberIds) =>
        new Promise<void>((resolve) => {
          looks.push({ memberIds, end: resolve })
        }),
    })
    const outcomes = () => opened.acknowledged.map(({ delivery_id, outcome }) => `${delivery_id} ${outcome}`)
    return { ...opened, looks, outcomes }
  }

  const turns = async () => {
    for (let turn = 0; turn < 4; turn += 1) await new Promise(setImmediate)
  }

  test('waits for one look into the directory, and opens when that brings the key', async () => {
    const { inbox, receiver, looks, outcomes, page } = withDirectory()
    receiver.deliver([delivery(1, { sender: bob }), delivery(2)])
    await turns()
    expect(outcomes()).toEqual(['d2 stored'])
    sealing.introduce('bob')
    looks[0]?.end()
    await turns()
    expect(outcomes()).toEqual(['d2 stored', 'd1 stored'])
    expect(page().map((row) => row.opened)).toEqual([true, true])
    expect(looks.map(({ memberIds }) => memberIds)).toEqual([[bob]])
    inbox.close()
  })

  test('is kept with the reason after a look that does not bring the key', async () => {
    const { inbox, receiver, looks, outcomes } = withDirectory()
    receiver.deliver([delivery(1, { sender: bob })])
    await turns()
    looks[0]?.end()
    await turns()
    expect(outcomes()).toEqual(['d1 undecryptable'])
    expect(inbox.get(messageIdOf(1))).toMatchObject({ opened: false, unopenedReason: 'sender_unknown' })
    expect(Object.fromEntries(receiver.unopened)).toEqual({ sender_unknown: 1 })
    inbox.close()
  })

  test('is not overtaken by later ones of the same sender', async () => {
    const { inbox, receiver, looks, page } = withDirectory()
    receiver.deliver([delivery(1, { sender: bob })])
    await turns()
    sealing.introduce('bob')
    receiver.deliver([delivery(2, { sender: bob }), delivery(3)])
    await turns()
    expect(page().map((row) => row.historyId)).toEqual(['3'])
    looks[0]?.end()
    await turns()
    looks[1]?.end()
    await turns()
    expect(page().map((row) => row.historyId)).toEqual(['3', '1', '2'])
    inbox.close()
  })

  test('that comes during a look waits for the next one', async () => {
    const { inbox, receiver, looks, outcomes } = withDirectory()
    receiver.deliver([delivery(1, { sender: bob })])
    await turns()
    receiver.deliver([delivery(2, { sender: memberIdOf('stranger') })])
    await turns()
    looks[0]?.end()
    await turns()
    expect(outcomes()).toEqual(['d1 undecryptable'])
    looks[1]?.end()
    await turns()
    expect(outcomes()).toEqual(['d1 undecryptable', 'd2 undecryptable'])
    inbox.close()
  })

  test('is stored as it is when the daemon stops', async () => {
    const { inbox, receiver, outcomes } = withDirectory()
    receiver.deliver([delivery(1, { sender: bob })])
    await turns()
    await receiver.stop()
    expect(outcomes()).toEqual(['d1 undecryptable'])
    inbox.close()
  })
})

test('receipts are recorded before they are acknowledged', async () => {
  const order: string[] = []
  const { inbox, receiver, calls } = receiving({
    outbox: { recordReceipts: (items) => order.push(...items.map((item) => `recorded ${item.delivery_id}`)) },
    acknowledge: (items) => order.push(...items.map((item) => `${item.outcome} ${item.delivery_id}`)) > 0,
  })
  receiver.receipts([receipt(1), receipt(2)])
  await receiver.stop()
  expect(order).toEqual(['recorded r1', 'recorded r2', 'stored r1', 'stored r2'])
  expect(calls.receipts).toBe(1)
  inbox.close()
})

test('any interleaving of repeated and reordered deliveries gives each message once and acknowledges each delivery', async () => {
  const frames = fc.array(fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 6 }), { maxLength: 15 })
  await fc.assert(
    fc.asyncProperty(frames, fc.infiniteStream(fc.boolean()), async (numbersOfFrames, pauses) => {
      const { inbox, receiver, acknowledged, page } = receiving()
      const sent: string[] = []
      for (const numbers of numbersOfFrames) {
        const items = numbers.map((n, index) => delivery(n, { delivery_id: `${n}-${sent.length + index}` }))
        receiver.deliver(items)
        sent.push(...items.map((item) => item.delivery_id))
        if (pauses.next().value === true) await new Promise(setImmediate)
      }
      await receiver.stop()
      const distinct = [...new Set(numbersOfFrames.flat())]
      expect(page().map((row) => Number(row.historyId))).toEqual(distinct)
      expect(acknowledged.map((item) => item.delivery_id)).toEqual(sent)
      expect(acknowledged.filter((item) => item.outcome === 'stored')).toHaveLength(distinct.length)
      inbox.close()
    }),
    { numRuns: 30 },
  )
})
