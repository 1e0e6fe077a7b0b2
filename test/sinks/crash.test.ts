/** 4.7 SIGKILL at every step of an export, with rows that come before the retry: at the destination each row is once. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Ledger, parquetWriter } from '../../packages/sinks/src/index.ts'
import { BatchReceiver, countTo } from '../support/batch-receiver.ts'
import { startChild } from '../support/child.ts'
import { memoryDirectory } from '../support/scratch-directory.ts'

const isThorough = process.env['CLAUDEMESH_TEST_SINK_STEPS'] === 'all'

const exportSteps = [
  'sinks.begun',
  'sinks.intent_written',
  'sinks.chunk_shipped:1',
  'sinks.chunk_shipped:3',
  'sinks.all_shipped',
  'sinks.advanced',
]

const historySteps = [
  'history.compact.copied',
  'history.compact.before_swap',
  'history.compact.swapped:2',
  'history.prune.before_commit',
  'history.prune.committed',
  ...(isThorough
    ? [
        'history.acknowledge.before_commit:1',
        'history.acknowledge.before_commit:2',
        'history.promise.committed',
        'history.compact.synced:2',
        'history.compact.verified:2',
      ]
    : []),
]

describe('4.7 forward: an exporter that is killed at', () => {
  for (const step of exportSteps) {
    test(`${step} ships what it had begun again, and each row arrives once`, async () => {
      const directory = memoryDirectory()
      const receiver = await BatchReceiver.start()
      await exportKilledAt(step, [directory, receiver.url, '2500'])
      const before = receiver.seen.map(({ id }) => id)
      await exportRest([directory, receiver.url, '700'])
      expect(receiver.numbers()).toEqual(countTo(3200))
      const again = receiver.seen.slice(before.length).map(({ id }) => id)
      const isAdvanced = step === 'sinks.advanced'
      expect(before.every((id) => again.includes(id) !== isAdvanced)).toBe(true)
    })
  }

  for (const step of historySteps) {
    test(`${step} of the history beneath it exports each row once`, async () => {
      const directory = memoryDirectory()
      const receiver = await BatchReceiver.start()
      await exportKilledAt(step, [directory, receiver.url, '1500', 'upkeep'])
      await exportRest([directory, receiver.url, '700', 'upkeep'])
      expect(receiver.numbers()).toEqual(countTo(2200))
    })
  }
})

describe('4.7 blob: an exporter that is killed at', () => {
  for (const step of ['sinks.object_written', 'sinks.object_named', ...(isThorough ? exportSteps : [])]) {
    // A unit of so few rows is one object.
    if (step === 'sinks.chunk_shipped:3') continue
    test(`${step} leaves one object for each range, whole, and each row is exported once`, async () => {
      const directory = memoryDirectory()
      const exports = join(directory, 'exports')
      await exportKilledAt(step, [directory, `file://${exports}`, '2500'])
      await exportRest([directory, `file://${exports}`, '700'])
      const objects = readdirSync(exports, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      const paths = objects.map(({ parentPath, name }) => join(parentPath, name)).toSorted()
      const rows = await Promise.all(paths.map((path) => parquetWriter.decode(readFileSync(path))))
      expect(rows.map((part) => part.length)).toEqual(step === 'sinks.begun' ? [3200] : [2500, 700])
      expect(rows.flat().map(({ meta }) => meta?.['n'])).toEqual(countTo(3200))
    })
  }
})

test('4.7 a receiver that is killed before it commits has stored nothing, and gets the chunk again', async () => {
  const directory = memoryDirectory()
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

async function exportKilledAt(step: string, args: readonly string[]): Promise<void> {
  const child = startChild('sinks/children/export.mjs', args, { environment: { CLAUDEMESH_CRASH_AT: step } })
  expect(await child.exited).toMatchObject({ signal: 'SIGKILL' })
}

async function exportRest(args: readonly string[]): Promise<void> {
  expect(await startChild('sinks/children/export.mjs', args).exited).toMatchObject({ code: 0, stderr: '' })
}
