import { History } from '@claudemesh/history'

/** The partition that is measured. */
export const partition = { dataset: 'messages', source: 'mesh=home' }

const batchRows = 1000

/** A history of so many rows, as messages make them. */
export function fillHistory(directory: string, count: number): History {
  const retention = { ageMsMax: null, bytesMax: null, waitForSinkAck: true, capAgeMs: null, capBytes: null }
  const history = History.open({
    directory,
    now: Date.now,
    retentionOf: () => retention,
    losing: () => undefined,
    exported: [],
  })
  for (let done = 0; done < count; done += batchRows) {
    const rows = Array.from({ length: batchRows }, (_, index) => historyRow(done + index))
    history.append(partition, { rows, cursors: [] })
  }
  return history
}

/** A row as a message to a topic makes it. */
export function historyRow(n: number) {
  return {
    ...{ direction: 'received' as const, mesh: 'home', at: 1_700_000_000_000 + n, sender: 'a'.repeat(64) },
    ...{ destination: '#deploys', client_message_id: `build-${n}`, broker_message_id: null, history_id: String(n) },
    ...{ body: `build ${n} is green `.repeat(8), meta: { branch: 'main', n }, state: 'delivered' },
  }
}
