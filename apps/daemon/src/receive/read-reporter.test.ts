import { MeshError, type Operation } from '@claudemesh/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../../../../test/support/eventually.ts'
import { draftOf, messageIdOf } from '../../../../test/support/inbox-drafts.ts'
import { scratchDirectory } from '../../../../test/support/scratch-directory.ts'
import { countingLog } from '../../../../test/support/silent-log.ts'
import { Inbox } from '../inbox/inbox.ts'
import { systemRuntime } from '../runtime.ts'
import { ReadReporter } from './read-reporter.ts'

interface Call {
  readonly op: Operation
  readonly items: readonly { readonly broker_message_id: string; readonly at: number }[]
  answer(): void
  fail(error: MeshError): void
}

function setUp(options: { readonly messages: number }) {
  const { inbox } = Inbox.open({ path: `${scratchDirectory()}/inbox.db`, runtime: systemRuntime() })
  inbox.store(Array.from({ length: options.messages }, (_, n) => draftOf({ n: n + 1 })))
  const calls: Call[] = []
  const { log, lines } = countingLog()
  const reporter = new ReadReporter({
    reads: inbox.reads,
    request: (op, params) =>
      new Promise((resolve, reject) => {
        const { items } = params as Pick<Call, 'items'>
        calls.push({ op, items, answer: () => resolve({} as never), fail: reject })
      }),
    random: () => 0.01,
    log,
  })
  inbox.reads.onNoted(() => reporter.wake())
  onTestFinished(async () => {
    await reporter.stop()
    inbox.close()
  })
  const read = (...numbers: readonly number[]) => inbox.mark(numbers.map(messageIdOf), true)
  const waiting = () => inbox.reads.waiting(1_000).length
  /** The n-th call, once it is made. */
  const call = (n: number) => eventually(`call ${n} is made`, () => calls[n - 1] ?? null)
  return { inbox, reporter, calls, lines, read, waiting, call }
}

function idsOf(call: Call): readonly string[] {
  return call.items.map((item) => item.broker_message_id)
}

/** Long enough for anything that is going to be asked at once to be asked. */
function aMoment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 150))
}

describe('reporting what was read', () => {
  test('what was marked without a connection goes out on the next one, with the time of the mark', async () => {
    const { inbox, reporter, calls, read, waiting, call } = setUp({ messages: 3 })
    read(2, 1)
    await aMoment()
    expect(calls).toEqual([])
    reporter.linkOpened()
    const first = await call(1)
    expect(first.op).toBe('receipts.read')
    expect(first.items).toEqual(
      [2, 1].map((n) => ({ broker_message_id: messageIdOf(n), at: inbox.get(messageIdOf(n))?.readAt })),
    )
    expect(waiting()).toBe(2)
    first.answer()
    await eventually('they are settled', () => waiting() === 0)
    read(3)
    expect(idsOf(await call(2))).toEqual([messageIdOf(3)])
  })

  test('what is marked while a call is under way shares the next one', async () => {
    const { reporter, calls, read, call } = setUp({ messages: 50 })
    reporter.linkOpened()
    read(1)
    const first = await call(1)
    for (let n = 2; n <= 50; n += 1) read(n)
    await aMoment()
    expect(calls).toHaveLength(1)
    first.answer()
    expect(idsOf(await call(2))).toHaveLength(49)
  })

  test('more than a frame carries goes out in several, each message once and in order', async () => {
    const { reporter, calls, read, waiting, call } = setUp({ messages: 600 })
    for (let n = 1; n <= 600; n += 100) read(...Array.from({ length: 100 }, (_, index) => n + index))
    reporter.linkOpened()
    for (const n of [1, 2, 3]) (await call(n)).answer()
    await eventually('they are settled', () => waiting() === 0)
    expect(calls.map((each) => each.items.length)).toEqual([256, 256, 88])
    expect(calls.flatMap(idsOf)).toEqual(Array.from({ length: 600 }, (_, index) => messageIdOf(index + 1)))
  })

  test('a broker that fails is asked again with the same, and nothing is settled before it answers', async () => {
    const { reporter, read, waiting, call } = setUp({ messages: 1 })
    reporter.linkOpened()
    read(1)
    for (const n of [1, 2, 3]) {
      const each = await call(n)
      expect(idsOf(each)).toEqual([messageIdOf(1)])
      each.fail(new MeshError('timeout'))
    }
    expect(waiting()).toBe(1)
    ;(await call(4)).answer()
    await eventually('it is settled', () => waiting() === 0)
  })

  test('a connection that ends under the call costs nothing but the time to the next one', async () => {
    const { reporter, calls, read, waiting, call } = setUp({ messages: 1 })
    reporter.linkOpened()
    read(1)
    const first = await call(1)
    reporter.linkClosed()
    first.fail(new MeshError('broker_unavailable'))
    await aMoment()
    expect(calls).toHaveLength(1)
    reporter.linkOpened()
    ;(await call(2)).answer()
    await eventually('it is settled', () => waiting() === 0)
  })

  test('a broker that does not know the call is asked once for each connection, and said so in the log', async () => {
    const { reporter, calls, lines, read, waiting, call } = setUp({ messages: 3 })
    reporter.linkOpened()
    read(1)
    ;(await call(1)).fail(new MeshError('not_found'))
    await aMoment()
    read(2)
    read(3)
    await aMoment()
    expect(calls).toHaveLength(1)
    expect(lines).toEqual(['read_reports_refused'])
    // It was replaced by a newer one.
    reporter.linkClosed()
    reporter.linkOpened()
    const second = await call(2)
    expect(idsOf(second)).toEqual([1, 2, 3].map(messageIdOf))
    second.answer()
    await eventually('they are settled', () => waiting() === 0)
  })

  test('a stopped one asks nothing more, and what was under way is there at the next start', async () => {
    const { reporter, calls, read, waiting, call } = setUp({ messages: 2 })
    reporter.linkOpened()
    read(1)
    const first = await call(1)
    await reporter.stop()
    first.answer()
    read(2)
    reporter.linkOpened()
    await aMoment()
    expect(calls).toHaveLength(1)
    expect(waiting()).toBe(2)
  })
})
