/** Rows over HTTP: a sink, its driver and the reference receiver. */
import { createHmac } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type ForwardOptions,
  ForwardSink,
  parseSchedule,
  type RowSource,
  ScheduledSink,
  type ScheduledSinkOptions,
  type SinkEvent,
} from '../../packages/sinks/src/index.ts'
import { BatchReceiver, countTo } from '../support/batch-receiver.ts'
import { eventually } from '../support/eventually.ts'
import { ManualTime } from '../support/manual-time.ts'
import { RowTable } from '../support/row-table.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const partition = { dataset: 'messages', source: 'mesh=home' }

describe('a tick', () => {
  test('4.1 forward: with nothing new sends nothing, with N new rows sends those, whatever is there already', async () => {
    const { rows, receiver, sink } = await forwardedTable()
    rows.append(3000)
    await sink.run()
    expect(receiver.counts()).toEqual({ batches: 3, rows: 3000, repeats: 0 })
    const before = receiver.seen.length
    rows.rowsRead = 0
    await sink.run()
    expect([receiver.seen.length - before, rows.rowsRead], 'no request, and not a row is read').toEqual([0, 0])
    rows.append(2)
    await sink.run()
    expect(receiver.seen.length - before).toBe(1)
    expect(rows.rowsRead, 'each once to fix the chunk, once to send it').toBe(4)
    expect(receiver.seqs()).toEqual(countTo(3002))
  })

  test('cuts at 1,000 rows and at 1 MiB, and a larger row goes alone', async () => {
    const { rows, receiver, sink } = await forwardedTable()
    rows.append(1500)
    rows.append(3, { body: 'x'.repeat(400_000) })
    rows.append(1, { body: 'y'.repeat(2_000_000) })
    await sink.run()
    expect(receiver.counts().batches).toBe(4)
    expect(receiver.seqs()).toEqual(countTo(1504))
  })

  test('takes what came while it sent in the next one', async () => {
    const { rows, receiver, sink } = await forwardedTable()
    rows.append(5)
    const running = sink.run()
    rows.append(5)
    await running
    await sink.run()
    expect(receiver.seqs()).toEqual(countTo(10))
    expect(receiver.counts().repeats).toBe(0)
  })

  test('sends rows without a seq with the first export, and never again', async () => {
    const { rows, receiver, sink } = await forwardedTable()
    rows.append(2500, { sequenced: false })
    rows.append(1)
    await sink.run()
    rows.append(1)
    await sink.run()
    expect(receiver.seqs()).toEqual([...Array.from({ length: 2500 }, () => null), 1, 2])
  })
})

describe('4.4 forward: the watermark composes with the respool', () => {
  test('what failed is sent again, from the watermark on, under the same ids, although rows came meanwhile', async () => {
    const { rows, receiver, sink, time } = await forwardedTable()
    rows.append(1000)
    await sink.run()
    rows.append(2500)
    receiver.faults.push(null, { status: 500 })
    const failed = await sink.run()
    expect(failed.error).toContain('The receiver answered 500')
    const [first = '', second = ''] = receiver.seen.slice(1).map(({ id }) => id)
    rows.append(100)
    time.advance(3_600_000)
    await sink.run()
    expect(
      receiver.seen
        .slice(3)
        .map(({ id }) => id)
        .slice(0, 2),
    ).toEqual([first, second])
    expect(receiver.seen.slice(3)).toHaveLength(4)
    expect(receiver.seqs()).toEqual(countTo(3600))
    expect(receiver.counts().repeats, 'the one that had arrived').toBe(1)
  })

  test('a failure waits for its time, and longer each time; the schedule goes on meanwhile', async () => {
    const { rows, receiver, sink, time } = await forwardedTable()
    rows.append(1)
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
    const setting = await forwardedTable()
    setting.rows.append(1)
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
    const { rows, receiver, sink, time } = await forwardedTable()
    rows.append(1)
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
    const { rows, receiver, sink, time } = await forwardedTable()
    rows.append(1)
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
    const { rows, receiver, sink, time } = await forwardedTable()
    rows.append(1)
    receiver.faults.push({ status: 503, headers: { 'retry-after': '200' } })
    const running = sink.run()
    await eventually('it waits', () => time.sleeps.length === 1)
    const begun = performance.now()
    await Promise.all([sink.close(), expect(running).rejects.toMatchObject({ code: 'shutting_down' })])
    expect(performance.now() - begun).toBeLessThan(1000)
  })

  test('4.9 commits and then drops the connection has each row once', async () => {
    const { rows, receiver, sink } = await forwardedTable()
    rows.append(1500)
    receiver.faults.push('answer-lost', null, 'answer-lost')
    for (let run = 0; run < 3; run += 1) await sink.run()
    expect(receiver.seqs()).toEqual(countTo(1500))
    expect(receiver.counts().repeats).toBeGreaterThan(0)
  })

  test('wants a token and a signature gets them, and refuses whoever has others', async () => {
    process.env['SINK_TEST_TOKEN'] = 'letter'
    process.env['SINK_TEST_KEY'] = 'seal'
    const secrets = { tokenRef: 'env:SINK_TEST_TOKEN', signatureKeyRef: 'env:SINK_TEST_KEY' }
    const receiver = await BatchReceiver.start({ token: 'letter', signatureKey: 'seal' })
    const { rows, sink } = await forwardedTable({ receiver, forward: secrets })
    rows.append(1)
    await sink.run()
    expect(receiver.counts().rows).toBe(1)
    rows.append(1)
    process.env['SINK_TEST_KEY'] = 'another'
    expect((await sink.run()).error).toContain('answered 401')
    process.env['SINK_TEST_KEY'] = 'seal'
    process.env['SINK_TEST_TOKEN'] = 'another'
    expect((await sink.run()).error).toContain('answered 401')
  })
})

describe('a watermark that', () => {
  test('is gone stops the sink, and a reset lets it go on', async () => {
    const { rows, receiver, sink, directory } = await forwardedTable()
    rows.append(3)
    await sink.run()
    rows.append(2)
    rmSync(join(directory, 'messages/mesh=home.json'))
    await expect(sink.run()).rejects.toMatchObject({ code: 'sink_stopped' })
    expect(await sink.status()).toMatchObject({ phase: 'stopped', nextRunAt: null })
    await expect(sink.reset(partition, 'from-destination')).rejects.toMatchObject({ code: 'sink_not_listable' })
    await sink.reset(partition, 3)
    await sink.run()
    expect(receiver.seqs()).toEqual(countTo(5))
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
      const setting = await forwardedTable()
      setting.rows.append(3)
      await setting.sink.run()
      writeFileSync(join(setting.directory, 'messages/mesh=home.json'), text)
      setting.rows.append(1)
      await expect(setting.sink.run()).rejects.toMatchObject({ code: 'sink_stopped' })
      await setting.sink.close()
      const later = setting.reopen()
      expect((await later.status()).phase).toBe('stopped')
      expect(setting.receiver.counts().rows).toBe(3)
      await later.reset(partition, 0)
      await later.run()
      expect(setting.receiver.counts().rows, 'what an operator decided').toBe(3 + 4)
    })
  }
})

test('rows that were pruned before they were exported are told of as lost, once', async () => {
  const { rows, receiver, sink, events } = await forwardedTable()
  rows.append(10)
  rows.prune(4)
  await sink.run()
  await sink.run()
  expect(receiver.seqs()).toEqual(countTo(10, 5))
  expect(events.filter(({ type }) => type === 'lost')).toEqual([
    { type: 'lost', sink: 'collector', partition: 'messages/mesh=home', rows: 4 },
  ])
  expect((await sink.status()).partitions[0]).toMatchObject({ rows: 6, lost: 4 })
})

test('a chunk of which rows were pruned after it was sent keeps its id: no row is there twice', async () => {
  const { rows, receiver, sink } = await forwardedTable()
  rows.append(10)
  receiver.faults.push('answer-lost')
  await sink.run()
  rows.prune(4)
  await sink.run()
  expect(receiver.seqs()).toEqual(countTo(10))
  expect(receiver.counts().repeats).toBe(1)
})

describe('the schedule', () => {
  test('runs a sink at its time, not when it is paused, and makes up for what it missed', async () => {
    const setting = await forwardedTable({ schedule: '0 3 * * *' })
    const { rows, receiver, sink, time } = setting
    sink.start()
    rows.append(1)
    expect((await sink.status()).nextRunAt).toBe(Date.UTC(2026, 0, 1, 3))
    await pass(time, 3)
    await eventually('it ran', () => receiver.counts().rows === 1)
    await sink.pause()
    rows.append(1)
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

/** A table of rows, a receiver, and a sink between them. */
async function forwardedTable(o: Setting = {}) {
  const time = new ManualTime()
  const rows = new RowTable()
  const receiver = o.receiver ?? (await BatchReceiver.start())
  const directory = join(scratchDirectory(), 'sinks/collector')
  const events: SinkEvent[] = []
  const schedule = parseSchedule(o.schedule ?? '0 0 1 1 *')
  if (schedule === null) throw new Error('no schedule')
  const reopen = () => {
    const forward = { url: receiver.url, compression: 'gzip' as const, tokenRef: null, signatureKeyRef: null }
    const options: ScheduledSinkOptions = {
      ...{ name: 'collector', directory, source: rows as RowSource, schedule, datasets: null, jitterMsMax: 0 },
      sink: new ForwardSink({ ...forward, runtime: time, ...o.forward }),
      runtime: time,
      onEvent: (event) => events.push(event),
    }
    const opened = new ScheduledSink(options)
    onTestFinished(() => opened.close())
    return opened
  }
  return { time, rows, receiver, directory, events, reopen, sink: reopen() }
}

/** Lets hours go by, one after the other. */
async function pass(time: ManualTime, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour += 1) {
    time.advance(3_600_000)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
