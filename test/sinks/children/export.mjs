// Records numbered rows, exports what its sink does not have yet, and prints the run; a test has it killed on the way.
// Arguments: a directory, a destination, how many rows to record, and whether to prune and compact before the export.
import { join } from 'node:path'
import { History } from '@claudemesh/history'
import { openSink, parseSchedule, ScheduledSink, systemRuntime } from '@claudemesh/sinks'

const [directory, destination, count, upkeep] = process.argv.slice(2)
const partition = { dataset: 'messages', source: 'mesh=home' }
// Rows go as soon as the sink has them.
const retention = { ageMsMax: 0, bytesMax: null, waitForSinkAck: true, capAgeMs: null, capBytes: null }
const history = History.open({
  directory: join(directory, 'history'),
  now: Date.now,
  retentionOf: () => retention,
  losing: () => console.log('losing'),
  exported: [],
})
const recorded = history.cursor(partition, 'numbers')?.position ?? 0
const numbers = Array.from({ length: Number(count) }, (_, index) => recorded + index + 1)
history.append(partition, {
  rows: numbers.map((n) => ({
    ...{ direction: 'sent', mesh: 'home', at: 1_700_000_000_000 + n, sender: null, destination: '#deploys' },
    ...{ client_message_id: `row-${n}`, broker_message_id: null, history_id: null, body: `body ${n}`, meta: { n } },
    state: 'queued',
  })),
  cursors: [{ source: 'numbers', generation: 'g', position: recorded + numbers.length }],
})
const runtime = systemRuntime()
const places = { endpointUrl: null, region: 'us-east-1', accessKeyRef: 'env:A', secretKeyRef: 'env:B' }
const settings = { destination, writer: null, compression: 'gzip', tokenRef: null, signatureKeyRef: null, ...places }
const sink = new ScheduledSink({
  name: 'collector',
  directory: join(directory, 'sinks/collector'),
  source: history,
  sink: openSink({ ...settings, forcePathStyle: false }, runtime),
  schedule: parseSchedule('0 0 1 1 *'),
  datasets: null,
  jitterMsMax: 0,
  runtime,
  onEvent: () => undefined,
})
if (upkeep === 'upkeep') {
  await history.prune(Date.now())
  await history.compact(partition)
}
const run = await sink.run()
if (upkeep === 'upkeep') {
  await history.prune(Date.now())
  await history.compact(partition)
}
console.log(JSON.stringify(run))
await sink.close()
history.close()
