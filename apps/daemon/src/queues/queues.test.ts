import { setMaxListeners } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type DeadItem, type Destination, MeshError, type QueueItem, type Settlement } from '@claudemesh/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { memberIdOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { ManualRuntime } from '../../../../test/support/manual-runtime.ts'
import { countingLog } from '../../../../test/support/silent-log.ts'
import type { MessageContent, UnopenedReason } from '../inbox/inbox.ts'
import { takesWaitingMax, undecryptableDelayMs } from '../limits.ts'
import { WorkOpener } from './opener.ts'
import { WorkQueues, type WorkQueuesOptions } from './queues.ts'

const historyItem = (n: number) => ({
  broker_message_id: messageIdOf(n),
  client_message_id: `client-${n}`,
  sender: memberIdOf('alice'),
  history_id: String(n),
  destination: { kind: 'queue', ref: 'jobs' } as const,
  reply_to: null,
  priority: 'next' as const,
  accepted_at: 1_000,
  sealed: Buffer.from(`job ${n}`).toString('base64'),
})
const itemOf = (n: number, deliveries = 1): QueueItem => ({
  ...historyItem(n),
  lease_id: messageIdOf(900 + n),
  lease_until: 61_000,
  deliveries,
})

/** A broker with a line of answers to `queues.take`, and a host that cannot open some messages. */
class Host {
  readonly runtime = new ManualRuntime()
  readonly log = countingLog()
  readonly takes: (readonly QueueItem[] | MeshError | Promise<readonly QueueItem[]>)[] = []
  readonly settled: Settlement[] = []
  readonly untaken: string[] = []
  readonly waits: number[] = []
  readonly openedAs: Destination[] = []
  readonly lookedFor: (readonly string[])[] = []
  dead: readonly DeadItem[] = []
  settleFault: MeshError | null = null
  /** By the text of the message. */
  readonly closed = new Map<string, UnopenedReason>()
  onLookedFor: () => void = () => undefined
  readonly queues = new WorkQueues({
    request: (async (op: string, params: { wait_ms: number; items: Settlement[]; lease_id: string }) => {
      if (op === 'queues.take') {
        this.waits.push(params.wait_ms)
        const answer = await (this.takes.shift() ?? [])
        if (answer instanceof MeshError) throw answer
        return { items: answer }
      }
      if (op === 'queues.untake') {
        this.untaken.push(params.lease_id)
        return {}
      }
      if (op === 'queues.dead') return { items: this.dead, next: '7' }
      if (op !== 'queues.settle') throw new MeshError('not_found')
      this.settled.push(...params.items)
      if (this.settleFault !== null) throw this.settleFault
      return { items: params.items.map((item) => ({ broker_message_id: item.broker_message_id, outcome: 'done' })) }
    }) as unknown as WorkQueuesOptions['request'],
    opener: new WorkOpener({
      open: ({ bytes, destination }) => {
        this.openedAs.push(destination)
        return this.#open(bytes)
      },
      lookForSenders: async (memberIds) => {
        this.lookedFor.push(memberIds)
        await nextTurn()
        this.onLookedFor()
      },
    }),
    nameOf: (memberId) => (memberId === memberIdOf('alice') ? 'alice' : null),
    monotonicMs: () => this.runtime.monotonicMs(),
    log: this.log.log,
  })

  take(o: { waitMs?: number; signal?: AbortSignal } = {}) {
    const params = { queue: 'jobs', limit: 4, lease_ms: 60_000, wait_ms: o.waitMs ?? 0 }
    return this.queues.take(params, o.signal ?? new AbortController().signal)
  }

  #open(bytes: Uint8Array): MessageContent {
    const body = Buffer.from(bytes).toString('utf8')
    const reason = this.closed.get(body)
    return reason === undefined
      ? { opened: true, body, meta: { $contentType: 'text/plain', try: 1 } }
      : { opened: false, sealed: bytes, reason }
  }
}

const settle = async () => {
  for (let turn = 0; turn < 10; turn += 1) await nextTurn()
}

let host: Host
beforeEach(() => {
  host = new Host()
})

describe('a take', () => {
  test('gives what was leased in the clear, with its lease', async () => {
    host.takes.push([itemOf(1, 3)])
    expect(await host.take()).toEqual({
      messages: [
        {
          id: messageIdOf(1),
          client_message_id: 'client-1',
          history_id: '1',
          queue: 'jobs',
          sender: memberIdOf('alice'),
          sender_name: 'alice',
          reply_to_id: null,
          priority: 'next',
          message: 'job 1',
          meta: { try: 1 },
          content_type: 'text/plain',
          mentions: [],
          traceparent: null,
          tracestate: null,
          accepted_at: 1_000,
          deliveries: 3,
          lease_id: messageIdOf(901),
          lease_until: 61_000,
        },
      ],
      undecryptable: 0,
    })
    expect(host.settled).toEqual([])
  })

  test('hands nobody what cannot be opened: it goes back, later each time, and is counted', async () => {
    host.closed.set('job 2', 'not_a_recipient')
    host.takes.push([itemOf(1), itemOf(2, 3)])
    const { messages, undecryptable } = await host.take()
    expect([messages.map(({ message }) => message), undecryptable]).toEqual([['job 1'], 1])
    expect(host.settled).toEqual([
      {
        broker_message_id: messageIdOf(2),
        lease_id: messageIdOf(902),
        action: 'nack',
        delay_ms: 3 * undecryptableDelayMs,
        reason: 'undecryptable',
      },
    ])
    expect([...host.queues.undecryptable]).toEqual([['not_a_recipient', 1]])
  })

  test('waits on behind what cannot be opened, for as long as it was asked to', async () => {
    host.closed.set('job 1', 'not_authentic')
    host.takes.push([itemOf(1)], [itemOf(2)])
    const { messages } = await host.take({ waitMs: 5_000 })
    expect(messages.map(({ message }) => message)).toEqual(['job 2'])
    host.takes.push([itemOf(1)])
    expect(await host.take({ waitMs: 0 })).toEqual({ messages: [], undecryptable: 1 })
    expect(host.waits).toEqual([5_000, 5_000, 0])
  })

  test('reads the directory once for senders whom nobody knows, before they are judged', async () => {
    host.closed.set('job 1', 'sender_unknown')
    host.closed.set('job 2', 'sender_unknown')
    host.onLookedFor = () => host.closed.delete('job 1')
    host.takes.push([itemOf(1), itemOf(2)])
    const { messages, undecryptable } = await host.take()
    expect([messages.map(({ message }) => message), undecryptable]).toEqual([['job 1'], 1])
    expect(host.lookedFor).toEqual([[memberIdOf('alice')]])
  })

  test('takes nothing for work of this queue that was sealed for another place, whatever the broker says of it', async () => {
    host.takes.push([{ ...itemOf(1), destination: { kind: 'dm', ref: memberIdOf('me') } }])
    await host.take()
    expect(host.openedAs).toEqual([{ kind: 'queue', ref: 'jobs' }])
  })

  test('gives its messages although others cannot be returned: their leases end by themselves', async () => {
    host.closed.set('job 1', 'malformed')
    host.settleFault = new MeshError('broker_unavailable')
    host.takes.push([itemOf(1), itemOf(2)])
    expect((await host.take()).messages).toHaveLength(1)
  })

  test('whose taker has gone undoes at once what still comes: it counts as no delivery', async () => {
    let arrive: (items: readonly QueueItem[]) => void = () => undefined
    host.takes.push(
      new Promise((resolve) => {
        arrive = resolve
      }),
    )
    const gone = new AbortController()
    const taking = host.take({ waitMs: 30_000, signal: gone.signal })
    await settle()
    gone.abort()
    expect(await taking).toEqual({ messages: [], undecryptable: 0 })
    arrive([itemOf(1)])
    await settle()
    expect(host.untaken).toEqual([itemOf(1).lease_id])
    expect(host.settled).toEqual([])
  })

  test('is refused when too many wait, so that the link has room for others', async () => {
    const never = new Promise<readonly QueueItem[]>(() => undefined)
    const gone = new AbortController()
    setMaxListeners(0, gone.signal)
    const waiting = Array.from({ length: takesWaitingMax }, () => {
      host.takes.push(never)
      return host.take({ waitMs: 30_000, signal: gone.signal })
    })
    await expect(host.take()).rejects.toMatchObject({ code: 'daemon_busy' })
    gone.abort()
    await Promise.all(waiting)
    expect(await host.take()).toMatchObject({ messages: [] })
  })

  test('fails as the broker does', async () => {
    host.takes.push(new MeshError('queue_not_consumed'))
    await expect(host.take()).rejects.toMatchObject({ code: 'queue_not_consumed' })
  })
})

test('dead messages are shown opened or not, with who had them last', async () => {
  host.closed.set('job 2', 'not_a_recipient')
  const death = { deliveries: 20, consumer: memberIdOf('ann'), died_at: 2_000, reason: 'exit_1' }
  host.dead = [1, 2].map((n) => ({ ...historyItem(n), ...death }))
  const { messages, next } = await host.queues.listDead({ queue: 'jobs', limit: 2 })
  expect(next).toBe('7')
  expect(messages).toMatchObject([
    { id: messageIdOf(1), message: 'job 1', opened: true, unopened_reason: null, consumer: memberIdOf('ann') },
    { id: messageIdOf(2), message: null, meta: null, opened: false, unopened_reason: 'not_a_recipient' },
  ])
  expect(host.queues.undecryptable.size).toBe(0)
})

test('a broker that does not know the calls has no work queues, and that is what is said', async () => {
  await expect(host.queues.consume({ queue: 'jobs' })).rejects.toMatchObject({ code: 'destination_unsupported' })
})
