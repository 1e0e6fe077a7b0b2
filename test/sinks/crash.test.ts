/** 4.7 SIGKILL at every step of an export, with rows that come before the retry: at the receiver each row is once. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Ledger } from '../../packages/sinks/src/index.ts'
import { BatchReceiver, countTo } from '../support/batch-receiver.ts'
import { startChild } from '../support/child.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

/** In order: the record, the first watermark, the entry of the partition, the intent, the advance, the run. */
const writes = process.env['CLAUDEMESH_SINK_STEPS'] === 'all' ? countTo(6) : [4, 5]

describe('4.7 forward: an exporter that is killed at', () => {
  const steps = [
    'sinks.begun',
    'sinks.intent_written',
    'sinks.chunk_shipped:1',
    'sinks.chunk_shipped:2',
    'sinks.chunk_shipped:3',
    'sinks.all_shipped',
    'sinks.advanced',
    ...writes.flatMap((write) => [`atomic_file.before_rename:${write}`, `atomic_file.renamed:${write}`]),
  ]
  for (const step of steps) {
    test(`${step} ships what it had begun again, and each row arrives once`, async () => {
      const directory = scratchDirectory()
      const receiver = await BatchReceiver.start()
      const first = startChild('sinks/children/export.mjs', [directory, receiver.url, '2500'], {
        environment: { CLAUDEMESH_CRASH_AT: step },
      })
      expect((await first.exited).signal).toBe('SIGKILL')
      const before = receiver.seen.map(({ id }) => id)
      const second = startChild('sinks/children/export.mjs', [directory, receiver.url, '700'])
      expect(await second.exited).toMatchObject({ code: 0, stderr: '' })
      expect(receiver.seqs()).toEqual(countTo(3200))
      const again = receiver.seen.slice(before.length).map(({ id }) => id)
      const isAdvanced = step === 'sinks.advanced' || /:6$|renamed:5$/.test(step)
      expect(before.every((id) => again.includes(id) !== isAdvanced)).toBe(true)
    })
  }
})

test('4.7 a receiver that is killed before it commits has stored nothing, and gets the chunk again', async () => {
  const directory = scratchDirectory()
  const ledger = join(directory, 'ledger.db')
  const first = startChild('sinks/children/receive.mjs', [ledger, '0'], {
    environment: { CLAUDEMESH_CRASH_AT: 'ledger.before_commit:2' },
  })
  const [url = ''] = await first.printed(1)
  const failed = startChild('sinks/children/export.mjs', [directory, url, '1500'])
  expect(JSON.parse((await failed.printed(1))[0] ?? '')).toMatchObject({ rows: 0, error: expect.any(String) })
  expect((await first.exited).signal).toBe('SIGKILL')
  const second = startChild('sinks/children/receive.mjs', [ledger, new URL(url).port])
  await second.printed(1)
  const retried = startChild('sinks/children/export.mjs', [directory, url, '1'])
  expect(JSON.parse((await retried.printed(1))[0] ?? '')).toMatchObject({ rows: 1501, error: null })
  second.process.kill()
  await second.exited
  const stored = Ledger.open({ path: ledger, now: Date.now })
  expect(stored.counts()).toEqual({ batches: 3, rows: 1501, repeats: 1 })
  stored.close()
})
