// Records numbered rows from where the cursor stands to the given number, five at a time, and after each five promises them,
// acknowledges all but the last three, prunes what was acknowledged, and compacts. Prints `<number> <seq>` of every row that
// is there and promised. Arguments: directory of the history, last number.
import { History } from '@claudemesh/history'

const [directory, last] = process.argv.slice(2)
const partition = { dataset: 'messages', source: 'mesh=home' }
let clock = 0
const retention = { ageMsMax: 5, bytesMax: null, waitForSinkAck: true, capAgeMs: null, capBytes: null }
const history = History.open({
  directory,
  now: () => clock,
  retentionOf: () => retention,
  losing: () => console.log('losing'),
  exported: [],
})
const rowOf = (n) => ({
  direction: 'sent',
  mesh: 'home',
  at: n,
  sender: null,
  destination: null,
  client_message_id: `row-${n}`,
  broker_message_id: null,
  history_id: null,
  body: 'x'.repeat(n),
  meta: { n },
  state: 'queued',
})

const recorded = () => history.cursor(partition, 'numbers')?.position ?? 0

for (let position = recorded(); position < Number(last); position = recorded()) {
  const rows = Array.from({ length: 5 }, (_, index) => rowOf(position + index + 1))
  clock = position + 5
  history.append(partition, { rows, cursors: [{ source: 'numbers', generation: 'g', position: position + 5 }] })
  const newest = history.newestSeq(partition)
  const seqs = []
  for await (const { row } of history.readRows(partition, { until: newest })) {
    console.log(`${row.meta.n} ${row.seq}`)
    seqs.push(row.seq)
  }
  history.acknowledge('lake', partition, seqs.at(-4) ?? 0)
  await history.prune(clock)
  await history.compact(partition)
}
history.close()
