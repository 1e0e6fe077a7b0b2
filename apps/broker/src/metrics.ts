/** Every metric of the broker, declared once, with closed label sets and base units. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** How much of something there is now. */
const gauges = {
  connections: { help: 'Connections, by state', labelNames: ['state'] },
  unacknowledged: { help: 'Deliveries and receipts pushed and not acknowledged', labelNames: [] },
  deliveries_waiting: { help: 'Deliveries in the queue, counted up to 100001', labelNames: [] },
  queue_messages: { help: 'Messages in work queues, by state, each counted up to 100001', labelNames: ['state'] },
  queue_waits: { help: 'Calls that wait for work', labelNames: [] },
  blobs: { help: 'Blobs open or stored', labelNames: [] },
  blob_bytes_reserved: { help: 'Bytes of them, as quotas count them', labelNames: [] },
  blob_transfers_open: { help: 'Transfers of blobs under way here, by direction', labelNames: ['direction'] },
  members: { help: 'Members known', labelNames: [] },
  meshes: { help: 'Meshes registered', labelNames: [] },
  atomicity_violation_found: { help: 'Rows known to contradict each other, by kind', labelNames: ['kind'] },
} as const

/** How often something has happened. */
const counters = {
  hellos: { help: 'Hellos judged, by result (admitted, or why not)', labelNames: ['result'] },
  handshakes_throttled: { help: 'Handshakes refused because their address began too many', labelNames: [] },
  invalid_frames: { help: 'Frames that were not well-formed or came at the wrong time', labelNames: [] },
  sends: { help: 'Messages judged, by status of the result', labelNames: ['status'] },
  acknowledgements: { help: 'Deliveries and receipts acknowledged, by outcome', labelNames: ['outcome'] },
  queue_takes: { help: 'Messages of work queues given out', labelNames: [] },
  queue_settlements: { help: 'Messages of work queues settled, by outcome', labelNames: ['outcome'] },
  queue_deaths: { help: 'Messages of work queues that were dead when their last lease was over', labelNames: [] },
  blob_transfers: {
    help: 'Transfers of blobs that ended, by direction and result (done, or the code)',
    labelNames: ['direction', 'result'],
  },
  blob_bytes: { help: 'Bytes of blobs that went over the wire, by direction', labelNames: ['direction'] },
  expired_rows: { help: 'Rows deleted because their time was over, by job', labelNames: ['job'] },
  dedupe_orphan_check: { help: 'Rows compared with those that belong to them', labelNames: [] },
  failures: { help: 'Failures that were logged as errors', labelNames: [] },
} as const

/** How large or how long. */
const histograms = {
  accept_batch_items: { help: 'Messages accepted in one transaction', buckets: [1, 4, 16, 64, 256, 1024] },
  accept_seconds: {
    help: 'From a frame of messages up to its commit',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
  },
} as const

export interface Metrics {
  readonly registry: Registry
  readonly gauges: { readonly [N in keyof typeof gauges]: Gauge }
  readonly counters: { readonly [N in keyof typeof counters]: Counter }
  readonly histograms: { readonly [N in keyof typeof histograms]: Histogram }
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix })
  return {
    registry,
    gauges: mapValues(gauges, (name, more) => new Gauge({ name: prefix + name, ...more, registers })),
    counters: mapValues(counters, (name, more) => new Counter({ name: `${prefix}${name}_total`, ...more, registers })),
    histograms: mapValues(
      histograms,
      (name, { help, buckets }) => new Histogram({ name: prefix + name, help, buckets: [...buckets], registers }),
    ),
  }
}

const prefix = 'cm_broker_'

function mapValues<T extends object, R>(
  table: T,
  make: (name: string, entry: T[keyof T]) => R,
): { readonly [N in keyof T]: R } {
  const entries = Object.entries(table).map(([name, entry]) => [name, make(name, entry as T[keyof T])])
  return Object.fromEntries(entries) as { readonly [N in keyof T]: R }
}
