/** Rows over HTTP: a sink, its driver and the reference receiver. */
import { createHmac } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type ForwardOptions, ForwardSink, parseSchedule } from '../../packages/sinks/src/index.ts'
import { messages, rowOf } from '../history/history-under-test.ts'
import { BatchReceiver, countTo } from '../support/batch-receiver.ts'
import { eventually } from '../support/eventually.ts'
import type { ManualTime } from '../support/manual-time.ts'
import { ExportedHistory } from './exported-history.ts'

describe('a tick', () => {
  test('4.1 forward: with nothing new sends nothing, with N new rows sends those, whatever is there already', async () => {
    const { history, receiver, sink } = await forwarded()
    history.add(3000)
    await sink.run()
    expect(receiver.counts()).toEqual({ batches: 3, rows: 3000, repeats: 0 })
    const before = receiver.seen.length
    history.rowsRead = 0
    await sink.run()
    expect([receiver.seen.length - before, history.rowsRead], 'no request, and not a row is read').toEqual([0, 0])
    history.add(2)
    await sink.run()
    expect(receiver.seen.length - before).toBe(1)
    expect(history.rowsRead, 'each once to fix the chunk, once to send it').toBe(4)
    expect(receiver.numbers()).toEqual(countTo(3002))
  })

  test('cuts at 1,000 rows and at 1 MiB, and a larger row goes alone', async () => {
    const { history, receiver, sink } = await forwarded()
    history.add(1500)
    history.add(3, 'x'.repeat(400_000))
    history.add(1, 'y'.repeat(2_000_000))
    await sink.run()
    expect(receiver.counts().batches).toBe(4)
    expect(receiver.numbers()).toEqual(countTo(1504))
  })

  test('takes what came while it sent in the next one', async () => {
    const { history, receiver, sink } = await forwarded()
    history.add(5)
    const running = sink.run()
    history.add(5)
    await running
    await sink.run()
    expect(receiver.numbers()).toEqual(countTo(10))
    expect(receiver.counts().repeats).toBe(0)
  })

  test('sends rows without a seq with the first export, and never again', async () => {
    const { history, receiver, sink } = await forwarded()
    history.history.adopt(
      messages,
      Array.from({ length: 2500 }, (_, index) => rowOf(index - 2499)),
    )
    history.add(1)
    await sink.run()
    history.add(1)
    await sink.run()
    expect(receiver.numbers()).toEqual(countTo(2, -2499))
    expect(receiver.rows().filter(({ seq }) => seq === null)).toHaveLength(2500)
  })
})

describe('4.4 forward: the watermark composes with the respool', () => {
  test('what failed is sent again, from the watermark on, under the same ids, although rows came meanwhile', async () => {
    const { history, receiver, sink, time } = await forwarded()
    history.add(1000)
    await sink.run()
    history.add(2500)
    receiver.faults.push(null, { status: 500 })
    const failed = await sink.run()
    expect(failed.error).toContain('The receiver answered 500')
    const [first = '', second = ''] = receiver.seen.slice(1).map(({ id }) => id)
    history.add(100)
    time.advance(3_600_000)
    await sink.run()
    expect(
      receiver.seen
        .slice(3)
        .map(({ id }) => id)
        .slice(0, 2),
    ).toEqual([first, second])
    expect(receiver.seen.slice(3)).toHaveLength(4)
    expect(receiver.numbers()).toEqual(countTo(3600))
    expect(receiver.counts().repeats, 'the one that had arrived').toBe(1)
  })

  test('a failure waits for its time, and longer each time; the schedule goes on meanwhile', async () => {
    const { history, receiver, sink, time } = await forwarded()
    history.add(1)
    receiver.faults.push({ status: 500 }, { status: 502 })
    await sink.run()
    const [first] = (await sink.status()).partitions
    expect(first).toMatchObject({ failures: 1, retryAt: time.now() + 22_500, error: 'The receiver answered 500' })
    await sink.run()
    const [second] = (await sink.status()).partitions
    expect(second).toMatchObject({ failures: 2, retryAt: time.now() + 45_000 })
    await sink.run()
    expect((await sink.status()).partitions[0]).toMatchObject({ failures: 0, retryAt: null, rowsBehind: 0 })
  })

  test('it is in the respool over a restart', async () => {
    const setting = await forwarded()
    setting.history.add(1)
    setting.receiver.faults.push({ status: 500 })
    await setting.sink.run()
    await setting.sink.close()
    const later = setting.reopen()
    expect((await later.status()).partitions[0]).toMatchObject({ failures: 1, isShipping: true })
    later.start()
    setting.time.advance(60_000)
    await eventually('the row is there', () => setting.receiver.counts().rows === 1)
  })
})

describe('a receiver that', () => {
  test('is busy gets the same chunk again, after as long as it says', async () => {
    const { history, receiver, sink, time } = await forwarded()
    history.add(1)
    receiver.faults.push({ status: 503, headers: { 'retry-after': '7' } }, { status: 429 })
    const running = sink.run()
    await eventually('it waits', () => time.sleeps.length === 1)
    time.advance(7000)
    await eventually('it waits again', () => time.sleeps.length === 2)
    time.advance(60_000)
    await running
    expect(time.sleeps).toEqual([7000, 60_000])
    expect(new Set(receiver.seen.map(({ id }) => id)).size).toBe(1)
    expect(receiver.counts()).toEqual({ batches: 1, rows: 1, repeats: 0 })
  })

  test('is busy for longer than five minutes has the partition put into the respool', async () => {
    const { history, receiver, sink, time } = await forwarded()
    history.add(1)
    for (let times = 0; times < 4; times += 1) receiver.faults.push({ status: 503, headers: { 'retry-after': '0' } })
    const running = sink.run()
    for (const [index, ms] of [30_000, 60_000, 120_000].entries()) {
      await eventually('it waits', () => time.sleeps.length === index + 1)
      time.advance(ms)
    }
    expect((await running).error).toContain('busy')
    expect((await sink.status()).partitions[0]).toMatchObject({ failures: 1, retryAt: time.now() + 300_000 })
  })

  test('does not let a shutdown wait', async () => {
    const { history, receiver, sink, time } = await forwarded()
    history.add(1)
    receiver.faults.push({ status: 503, headers: { 'retry-after': '200' } })
    const running = sink.run()
    await eventually('it waits', () => time.sleeps.length === 1)
    const begun = performance.now()
    await Promise.all([sink.close(), expect(running).rejects.toMatchObject({ code: 'shutting_down' })])
    expect(performance.now() - begun).toBeLessThan(1000)
  })

  test('4.9 commits and then drops the connection has each row once', async () => {
    const { history, receiver, sink } = await forwarded()
    history.add(1500)
    receiver.faults.push('answer-lost', null, 'answer-lost')
    for (let run = 0; run < 3; run += 1) await sink.run()
    expect(receiver.numbers()).toEqual(countTo(1500))
    expect(receiver.counts().repeats).toBeGreaterThan(0)
  })

  test('wants a token and a signature gets them, and refuses whoever has others', async () => {
    process.env['SINK_TEST_TOKEN'] = 'letter'
    process.env['SINK_TEST_KEY'] = 'seal'
    const secrets = { tokenRef: 'env:SINK_TEST_TOKEN', signatureKeyRef: 'env:SINK_TEST_KEY' }
    const receiver = await BatchReceiver.start({ token: 'letter', signatureKey: 'seal' })
    const { history, sink } = await forwarded({ receiver, forward: secrets })
    history.add(1)
    await sink.run()
    expect(receiver.counts().rows).toBe(1)
    history.add(1)
    process.env['SINK_TEST_KEY'] = 'another'
    expect((await sink.run()).error).toContain('answered 401')
    process.env['SINK_TEST_KEY'] = 'seal'
    process.env['SINK_TEST_TOKEN'] = 'another'
    expect((await sink.run()).error).toContain('answered 401')
  })
})

describe('a watermark that', () => {
  test('is gone stops the sink, and a reset lets it go on', async () => {
    const { history, receiver, sink, directory } = await forwarded()
    history.add(3)
    await sink.run()
    history.add(2)
    rmSync(join(directory, 'messages/mesh=home.json'))
    await expect(sink.run()).rejects.toMatchObject({ code: 'sink_stopped' })
    expect(await sink.status()).toMatchObject({ phase: 'stopped', nextRunAt: null })
    await expect(sink.reset(messages, 'from-destination')).rejects.toMatchObject({ code: 'sink_not_listable' })
    await sink.reset(messages, 3)
    await sink.run()
    expect(receiver.numbers()).toEqual(countTo(5))
    expect(receiver.counts().repeats).toBe(0)
  })

  const damages = [
    '',
    '{',
    '{"v":2}',
    'null',
    '{"v":1,"acked":{"seq":-1},"intent":null,"rows":0,"lost":0,"updated_at":0}',
  ]
  for (const text of damages) {
    test(`holds ${JSON.stringify(text)} stops the sink, also at the next start`, async () => {
      const setting = await forwarded()
      setting.history.add(3)
      await setting.sink.run()
      writeFileSync(join(setting.directory, 'messages/mesh=home.json'), text)
      setting.history.add(1)
      await expect(setting.sink.run()).rejects.toMatchObject({ code: 'sink_stopped' })
      await setting.sink.close()
      const later = setting.reopen()
      expect((await later.status()).phase).toBe('stopped')
      expect(setting.receiver.counts().rows).toBe(3)
      await later.reset(messages, 0)
      await later.run()
      expect(setting.receiver.counts().rows, 'what an operator decided').toBe(3 + 4)
    })
  }
})

test('rows that were pruned before they were exported are told of as lost, once', async () => {
  const { history, receiver, sink } = await forwarded()
  history.add(1)
  await sink.run()
  history.add(4)
  history.add(6)
  expect(await history.prune()).toBe(5)
  await sink.run()
  await sink.run()
  expect(receiver.numbers()).toEqual([1, ...countTo(11, 6)])
  expect(history.events.filter(({ type }) => type === 'lost')).toEqual([
    { type: 'lost', sink: 'collector', partition: 'messages/mesh=home', rows: 4 },
  ])
  expect((await sink.status()).partitions[0]).toMatchObject({ rows: 7, lost: 4 })
})

test('a chunk of which rows were pruned after it was sent keeps its id: no row is there twice', async () => {
  const { history, receiver, sink } = await forwarded()
  history.add(4)
  history.add(6)
  receiver.faults.push('answer-lost')
  await sink.run()
  expect(await history.prune()).toBe(4)
  await sink.run()
  expect(receiver.numbers()).toEqual(countTo(10))
  expect(receiver.counts().repeats).toBe(1)
})

describe('4.2 forward: across a front-prune by retention', () => {
  test('each row arrives once, whatever goes of what was exported', async () => {
    const { history, receiver, sink } = await forwarded()
    for (let round = 1; round <= 4; round += 1) {
      history.add(300)
      await sink.run()
      if (round > 1) expect(await history.prune()).toBe(300)
    }
    expect(receiver.numbers()).toEqual(countTo(1200))
    expect(receiver.counts().repeats).toBe(0)
  })
})

describe('4.3 forward: across a compaction', () => {
  test('each row arrives once, also what was on its way, and the file is another one', async () => {
    const { history, receiver, sink } = await forwarded()
    history.add(1500)
    await sink.run()
    await history.prune()
    history.add(1500)
    receiver.faults.push(null, { status: 500 })
    await sink.run()
    const [before, after] = await history.compact()
    expect(after).not.toBe(before)
    history.add(10)
    await sink.run()
    expect(receiver.numbers()).toEqual(countTo(3010))
    expect(receiver.counts().repeats).toBe(1)
  })

  test('a compaction in the middle of a run disturbs nobody', async () => {
    const { history, receiver, sink } = await forwarded()
    history.add(5000)
    const [, [before, after]] = await Promise.all([sink.run(), history.compact()])
    expect(after).not.toBe(before)
    expect(receiver.numbers()).toEqual(countTo(5000))
  })
})

describe('the schedule', () => {
  test('runs a sink at its time, not when it is paused, and makes up for what it missed', async () => {
    const setting = await forwarded({ schedule: '0 3 * * *' })
    const { history, receiver, sink, time } = setting
    sink.start()
    history.add(1)
    expect((await sink.status()).nextRunAt).toBe(Date.UTC(2026, 0, 1, 3))
    await pass(time, 3)
    await eventually('it ran', () => receiver.counts().rows === 1)
    await sink.pause()
    history.add(1)
    await pass(time, 24)
    expect(receiver.counts().rows).toBe(1)
    await sink.close()
    const later = setting.reopen()
    expect(await later.status()).toMatchObject({ phase: 'paused', nextRunAt: null })
    later.resume()
    later.start()
    await eventually('the run that was missed', () => receiver.counts().rows === 2)
    expect((await later.status()).nextRunAt).toBe(Date.UTC(2026, 0, 3, 3))
  })

  for (const text of ['', '* * * *', '* * * * * *', '61 * * * *', 'daily', '0 3 * * mon-blue']) {
    test(`does not take ${JSON.stringify(text)}`, () => expect(parseSchedule(text)).toBe(null))
  }
})

test('the signature is the one that is described', async () => {
  const { signBatch } = await import('../../packages/sinks/src/forward/forward-sink.ts')
  const expected = createHmac('sha256', 'key').update('id.').update('body').digest('hex')
  expect(signBatch('key', 'id', Buffer.from('body'))).toBe(expected)
})

interface Setting {
  readonly receiver?: BatchReceiver
  readonly forward?: Partial<ForwardOptions>
  readonly schedule?: string
}

/** A history, a receiver, and a sink between them. */
async function forwarded(o: Setting = {}) {
  const history = new ExportedHistory()
  const { time } = history
  const receiver = o.receiver ?? (await BatchReceiver.start())
  const schedule = parseSchedule(o.schedule ?? '0 0 1 1 *')
  if (schedule === null) throw new Error('no schedule')
  const plain = { compression: 'gzip' as const, tokenRef: null, signatureKeyRef: null }
  const reopen = () =>
    history.open(new ForwardSink({ url: receiver.url, ...plain, runtime: time, ...o.forward }), { schedule })
  return { history, time, receiver, directory: history.stateOf('collector'), reopen, sink: reopen() }
}

/** Lets hours go by, one after the other. */
async function pass(time: ManualTime, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour += 1) {
    time.advance(3_600_000)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
