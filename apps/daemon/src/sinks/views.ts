import type { Sink, SinkRunView } from '@claudemesh/protocol/sinks'
import type { PartitionStatus, SinkRun, SinkStatus } from '@claudemesh/sinks'
import { withoutPassword } from '../config/setting-forms.ts'
import type { SinkConfig } from '../config/sink-settings.ts'

export function toSinkView({ settings, schedule }: SinkConfig, status: SinkStatus): Sink {
  return {
    name: status.name,
    destination: String(withoutPassword(settings.destination)),
    schedule,
    phase: status.phase,
    stopped: status.stopped,
    last_run: status.lastRun === null ? null : toRunView(status.lastRun),
    next_run_at: status.nextRunAt,
    partitions: status.partitions.map(toPartitionView),
  }
}

export function toRunView({ started_at, ended_at, rows, lost, error }: SinkRun): SinkRunView {
  return { started_at, ended_at, rows, lost, error }
}

function toPartitionView(partition: PartitionStatus): Sink['partitions'][number] {
  return {
    partition: `${partition.dataset}/${partition.source}`,
    acked: partition.acked,
    newest: partition.newest,
    rows_behind: partition.rowsBehind,
    seconds_behind: partition.secondsBehind,
    shipping: partition.isShipping,
    rows: partition.rows,
    lost: partition.lost,
    failures: partition.failures,
    retry_at: partition.retryAt,
    error: partition.error,
  }
}
