/** Files of a sink that are gone, unreadable or older than they were: it stops, says why, and goes on when it is told where. */
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listStateFaults } from '@claudemesh/sinks/state'
import { expect, test } from 'vitest'
import { ForwardSink, type ScheduledSink } from '../../packages/sinks/src/index.ts'
import { messages } from '../history/history-under-test.ts'
import { BatchReceiver, countTo } from '../support/batch-receiver.ts'
import { ExportedHistory } from './exported-history.ts'

interface Damage {
  readonly what: string
  /** Done while it is closed, to the directory of its state, which `older` is an older copy of. */
  readonly spoil: (state: string, older: string) => void
  readonly says: string
  /** What `daemon recover` finds by looking at the files alone. */
  readonly found: readonly unknown[]
}

const watermark = 'messages/mesh=home.json'
const damages: readonly Damage[] = [
  {
    what: 'its state is gone',
    spoil: (state) => rmSync(state, { recursive: true }),
    says: 'is gone or older than it was: it stands at 0',
    found: [],
  },
  {
    what: 'its state is an older copy',
    spoil: (state, older) => cpSync(older, state, { recursive: true }),
    says: 'is gone or older than it was: it stands at 5',
    found: [],
  },
  {
    what: 'its watermark is empty',
    spoil: (state) => writeFileSync(join(state, watermark), ''),
    says: 'the watermark of messages/mesh=home cannot be used',
    found: [expect.stringContaining('the watermark of messages/mesh=home cannot be used')],
  },
  {
    what: 'its watermark is gone',
    spoil: (state) => rmSync(join(state, watermark)),
    says: 'the watermark of messages/mesh=home is gone',
    found: ['the watermark of messages/mesh=home is gone'],
  },
  {
    what: 'its record is cut',
    spoil: (state) => writeFileSync(join(state, 'sink.json'), '{"v":1,'),
    says: 'the record of the sink cannot be used',
    found: [expect.stringContaining('the record of the sink cannot be used')],
  },
]

for (const { what, spoil, says, found } of damages) {
  test(`${what}: it stops, nothing is sent twice, and a reset lets it go on`, async () => {
    const history = new ExportedHistory()
    const receiver = await BatchReceiver.start()
    const state = history.stateOf('collector')
    const export_ = async (count: number) => {
      const sink = open(history, receiver)
      history.add(count)
      await sink.run()
      await sink.close()
    }
    await export_(5)
    cpSync(state, `${state}.older`, { recursive: true })
    await export_(5)
    spoil(state, `${state}.older`)
    if (found.length > 0) expect(listStateFaults(state)).toEqual(found)
    const stopped = open(history, receiver)
    history.add(5)
    await expect(stopped.run()).rejects.toMatchObject({ code: 'sink_stopped' })
    expect(await stopped.status()).toMatchObject({ phase: 'stopped', stopped: expect.stringContaining(says) })
    await stopped.reset(messages, 10)
    await stopped.run()
    expect(listStateFaults(state)).toEqual([])
    await stopped.close()
    await export_(5)
    expect(receiver.numbers()).toEqual(countTo(20))
    expect(receiver.counts().repeats).toBe(0)
  })
}

function open(history: ExportedHistory, receiver: BatchReceiver): ScheduledSink {
  const plain = { compression: 'gzip' as const, tokenRef: null, signatureKeyRef: null }
  return history.open(new ForwardSink({ url: receiver.url, ...plain, runtime: history.time }))
}
