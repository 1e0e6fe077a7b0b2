import { copyFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { eventually } from '../../../../test/support/eventually.ts'
import { type DraftFields, draftOf, memberIdOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { silentLog } from '../../../../test/support/silent-log.ts'
import { Events } from '../events/events.ts'
import { Inbox } from '../inbox/inbox.ts'
import { eventIdsReserved, publishBatchMax } from '../limits.ts'
import type { AnnouncedChange } from '../outbox/outbox.ts'
import { Publisher } from './publisher.ts'
import type { AnnouncementSource } from './sources.ts'

/** An outbox as the publisher sees one. `seq` goes on after announcements were forgotten. */
class Announcements implements AnnouncementSource {
  readonly waiting: AnnouncedChange[] = []
  #seq = 0
  forgetting = true

  add(kind: 'settled' | 'receipt', outboxId: string, state: string): void {
    this.#seq += 1
    const isPruned = outboxId === 'pruned'
    const isReceipt = kind === 'receipt'
    this.waiting.push({
      seq: this.#seq,
      outboxId,
      kind,
      recipient: isReceipt ? memberIdOf('bob') : null,
      state,
      clientMessageId: isPruned ? null : `client-${outboxId}`,
      brokerMessageId: isPruned ? null : messageIdOf(1),
      historyId: isPruned ? null : '1',
      recipientCount: isPruned ? null : 2,
      lastError: null,
      destinationKind: null,
      destinationRef: null,
      endedAt: null,
      at: isReceipt ? 77 : null,
      reason: null,
    })
  }

  announcements(after: number, limit: number): readonly AnnouncedChange[] {
    return this.waiting.filter(({ seq }) => seq > after).slice(0, limit)
  }

  forgetAnnouncements(throughSeq: number): void {
    if (!this.forgetting) return
    this.waiting.splice(0, this.waiting.findLastIndex((announcement) => announcement.seq <= throughSeq) + 1)
  }
}

function publishing() {
  const directory = scratchDirectory()
  const runtime = new ManualRuntime()
  const outbox = new Announcements()
  const paths = { inbox: join(directory, 'inbox.db'), events: join(directory, 'events.db') }
  /** A process: opens everything, and ends by closing without any other goodbye. */
  const start = () => {
    const { inbox } = Inbox.open({ path: paths.inbox, runtime })
    const events = Events.open({ path: paths.events, runtime })
    const members = { findById: (id: string) => (id === memberIdOf('alice') ? { name: 'alice' } : null) }
    const publisher = new Publisher({ inbox, outbox, events, members, log: silentLog() })
    const end = async () => {
      await publisher.stop()
      inbox.close()
      events.close()
    }
    /** Everything that there is, without waiting for turns of the loop. */
    let isStarted = false
    const publishAll = () => {
      if (!isStarted) publisher.start()
      isStarted = true
      while (publisher.publishBatch());
    }
    const told = () => events.after(0, 10_000).map((event) => summarise(event.type, event.data))
    return { inbox, events, publisher, publishAll, told, end }
  }
  return { paths, runtime, outbox, start }
}

function summarise(type: string, data: Readonly<Record<string, unknown>>): string {
  return `${type} ${String(data['history_id'] ?? data['outbox_id'] ?? '')}`.trim()
}

const drafts = (...fields: readonly DraftFields[]) => fields.map(draftOf)

describe('publishing', () => {
  test('tells of each new message with what a reader prints', async () => {
    const process = publishing().start()
    process.inbox.store(drafts({ n: 1, body: 'green' }, { n: 2, from: 'stranger', body: null }))
    process.publishAll()
    expect(process.events.after(0, 10).map((event) => [event.type, event.data])).toMatchObject([
      ['message', { id: messageIdOf(1), sender_name: 'alice', message: 'green', truncated: false, opened: true }],
      ['message', { id: messageIdOf(2), sender_name: null, message: null, opened: false }],
    ])
    await process.end()
  })

  test('cuts a large body between whole characters and says so', async () => {
    const process = publishing().start()
    process.inbox.store(drafts({ n: 1, body: `x${'😀'.repeat(20_000)}` }))
    process.publishAll()
    const data = process.events.after(0, 1)[0]?.data
    expect(data?.['truncated']).toBe(true)
    expect(String(data?.['message'])).toHaveLength(16_383)
    expect(String(data?.['message']).isWellFormed()).toBe(true)
    await process.end()
  })

  test('tells what became of sends and what is proven at recipients', async () => {
    const { outbox, start } = publishing()
    const process = start()
    outbox.add('settled', 'a', 'done')
    outbox.add('receipt', 'a', 'delivered')
    outbox.add('settled', 'pruned', 'dead')
    process.publishAll()
    expect(process.events.after(0, 10).map((event) => [event.type, event.data])).toEqual([
      [
        'outbox_settled',
        {
          outbox_id: 'a',
          client_message_id: 'client-a',
          broker_message_id: messageIdOf(1),
          status: 'done',
          history_id: '1',
          recipient_count: 2,
          last_error: null,
        },
      ],
      [
        'receipt',
        {
          outbox_id: 'a',
          client_message_id: 'client-a',
          broker_message_id: messageIdOf(1),
          recipient: memberIdOf('bob'),
          state: 'delivered',
          at: 77,
          reason: null,
        },
      ],
      ['outbox_settled', expect.objectContaining({ outbox_id: 'pruned', client_message_id: null, status: 'dead' })],
    ])
    expect(outbox.waiting).toEqual([])
    await process.end()
  })

  test('works by itself when it is woken', async () => {
    const process = publishing().start()
    process.publisher.start()
    process.inbox.store(drafts({ n: 1 }))
    process.publisher.wake()
    process.publisher.wake()
    await eventually('the event is there', () => process.told().length === 1)
    process.inbox.store(drafts({ n: 2 }))
    process.publisher.wake()
    await eventually('the second event is there', () => process.told().length === 2)
    await process.end()
  })

  test('gets through more than one batch', async () => {
    const process = publishing().start()
    const count = publishBatchMax * 2 + 7
    process.inbox.store(Array.from({ length: count }, (_, index) => draftOf({ n: index + 1 })))
    process.publishAll()
    expect(process.told()).toEqual(Array.from({ length: count }, (_, index) => `message ${index + 1}`))
    await process.end()
  })
})

describe('a process that ends', () => {
  test('after a message was stored and before it was told of: the next one tells of it', async () => {
    const { start } = publishing()
    const first = start()
    first.inbox.store(drafts({ n: 1 }))
    first.publishAll()
    first.inbox.store(drafts({ n: 2 }, { n: 3 }))
    await first.end()
    const second = start()
    second.publishAll()
    expect(second.told()).toEqual(['message 1', 'message 2', 'message 3'])
    await second.end()
  })

  test('after the events and before the announcements are forgotten: none is told of twice', async () => {
    const { outbox, start } = publishing()
    const first = start()
    outbox.add('settled', 'a', 'done')
    outbox.add('settled', 'b', 'done')
    outbox.forgetting = false
    first.publishAll()
    await first.end()
    outbox.forgetting = true
    outbox.add('settled', 'c', 'dead')
    const second = start()
    second.publishAll()
    expect(second.events.after(0, 10).map((event) => event.data['outbox_id'])).toEqual(['a', 'b', 'c'])
    expect(outbox.waiting).toEqual([])
    await second.end()
  })

  test('between any two steps leaves every message told of once, in order', async () => {
    const { start } = publishing()
    for (let n = 1; n <= 12; n += 1) {
      const process = start()
      if (n % 3 !== 0) process.publishAll()
      process.inbox.store(drafts({ n }))
      if (n % 4 === 0) process.publishAll()
      await process.end()
    }
    const last = start()
    last.publishAll()
    expect(last.told()).toEqual(Array.from({ length: 12 }, (_, index) => `message ${index + 1}`))
    await last.end()
  })
})

describe('a power cut', () => {
  test('takes events that were not synced, and all of them are made again from what was', async () => {
    const { paths, outbox, start } = publishing()
    const first = start()
    first.inbox.store(drafts({ n: 1 }))
    outbox.add('receipt', 'a', 'read')
    first.publishAll()
    for (const suffix of ['', '-wal']) copyFileSync(paths.events + suffix, `${paths.events}.cut${suffix}`)
    first.inbox.store(drafts({ n: 2 }))
    outbox.add('receipt', 'b', 'read')
    first.publishAll()
    expect(first.told()).toEqual(['message 1', 'receipt a', 'message 2', 'receipt b'])
    expect(outbox.waiting.map((announcement) => announcement.outboxId)).toContain('b')
    const lastHeard = first.events.bounds().lastId
    await first.end()
    for (const suffix of ['', '-wal']) renameSync(`${paths.events}.cut${suffix}`, paths.events + suffix)
    const second = start()
    second.publishAll()
    expect(second.told()).toEqual(['message 1', 'receipt a', 'message 2', 'receipt b'])
    expect(second.events.isResumable(lastHeard)).toBe(false)
    await second.end()
  })

  test('takes nothing of what was synced, and only then announcements are forgotten', async () => {
    const { outbox, start } = publishing()
    const process = start()
    process.publishAll()
    for (let n = 0; n <= 2 * eventIdsReserved; n += publishBatchMax) {
      for (let one = 0; one < publishBatchMax; one += 1) outbox.add('settled', `${n + one}`, 'done')
      process.publishAll()
    }
    expect(outbox.waiting.length).toBeLessThanOrEqual(eventIdsReserved)
    await process.end()
  })
})

describe('a store that was replaced', () => {
  test('the inbox: its readers are told first, history is passed over, deliveries are told of', async () => {
    const { paths, start } = publishing()
    const first = start()
    first.inbox.store(drafts({ n: 1 }, { n: 2 }, { n: 3 }))
    first.publishAll()
    await first.end()
    writeFileSync(paths.inbox, 'damaged'.repeat(1000))
    const second = start()
    second.inbox.storeHistory(drafts({ n: 1 }, { n: 2 }, { n: 3 }), null)
    second.inbox.store(drafts({ n: 3 }, { n: 4 }))
    second.publishAll()
    expect(second.told().slice(3)).toEqual(['inbox_rebuilt', 'message 3', 'message 4'])
    await second.end()
    const third = start()
    third.inbox.store(drafts({ n: 5 }))
    third.publishAll()
    expect(third.told().slice(3)).toEqual(['inbox_rebuilt', 'message 3', 'message 4', 'message 5'])
    await third.end()
  })

  test('the events: what was there is not told of again, what comes is', async () => {
    const { paths, start } = publishing()
    const first = start()
    first.inbox.store(drafts({ n: 1 }, { n: 2 }))
    first.publishAll()
    await first.end()
    writeFileSync(paths.events, 'damaged'.repeat(1000))
    const second = start()
    second.publishAll()
    second.inbox.store(drafts({ n: 3 }))
    second.publishAll()
    expect(second.told()).toEqual(['message 3'])
    await second.end()
  })
})
