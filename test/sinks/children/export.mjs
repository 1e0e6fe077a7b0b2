// Adds rows to a table, exports what its sink does not have yet, and prints the run; a test has it killed on the way.
// Arguments: a directory, the address of a receiver, how many rows to add.
import { join } from 'node:path'
import { ForwardSink, parseSchedule, ScheduledSink, systemRuntime } from '@claudemesh/sinks'
import { RowTable } from '../../support/row-table.ts'

const [directory, url, count] = process.argv.slice(2)
const source = new RowTable({ path: join(directory, 'rows.db') })
source.append(Number(count))
const runtime = systemRuntime()
const sink = new ScheduledSink({
  name: 'collector',
  directory: join(directory, 'sinks/collector'),
  source,
  sink: new ForwardSink({ url, compression: 'gzip', tokenRef: null, signatureKeyRef: null, runtime }),
  schedule: parseSchedule('0 0 1 1 *'),
  datasets: null,
  jitterMsMax: 0,
  runtime,
  onEvent: () => undefined,
})
console.log(JSON.stringify(await sink.run()))
await sink.close()
