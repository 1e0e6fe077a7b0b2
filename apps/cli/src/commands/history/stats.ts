import type { HistoryStats } from '@claudemesh/protocol/history'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { formatBytes, formatCount, formatTime } from '../../output/quantity.ts'

type PartitionStats = HistoryStats['partitions'][number]

const dayMs = 24 * 3_600_000

export const command: CommandDefinition = {
  summary: 'Say what the history holds, who has exported it, and what will be deleted when',
  examples: [{ line: 'claudemesh history stats', describe: 'rows, bytes, sinks, and when the oldest row goes' }],

  async run(invocation) {
    const stats = await withDaemon(invocation, async ({ history }) => await history.stats())
    invocation.terminal.print({
      value: stats,
      render: ({ partitions, jumps }) => [
        ...(partitions.length === 0 ? ['nothing is recorded yet'] : partitions.flatMap(renderPartition)),
        ...jumps.map(
          ({ at, from, to, reason }) => `${formatTime(at)}  seqs ${from} to ${to} were passed over: ${reason}`,
        ),
      ],
    })
    return exitCodes.ok
  },
}

function renderPartition(stats: PartitionStats): readonly string[] {
  const { used_bytes: used, file_bytes: file, pruned_rows: pruned, lost_rows: lost } = stats
  return [
    stats.partition,
    `  holds      ${formatCount(stats.rows, 'row')}, ${formatBytes(used)} of ${formatBytes(file)} on disk; newest seq ${stats.newest_seq}`,
    `  deletes    ${rule(stats)}`,
    `  next       ${stats.oldest_goes_at === null ? 'nothing' : `the oldest row, ${formatTime(stats.oldest_goes_at)}`}`,
    ...(stats.sinks.length === 0 ? [] : [`  sinks      ${sinks(stats)}`]),
    `  deleted    ${formatCount(pruned, 'row')}${lost === 0 ? '' : `, ${lost} of them not exported by every sink`}`,
  ]
}

function rule({ retention, sinks: known }: PartitionStats): string {
  const waits = retention.wait_for_sink_ack && known.length > 0
  const after = limits(retention.age_ms_max, retention.bytes_max)
  return waits ? `${after}, once exported; in any case ${limits(retention.cap_age_ms, retention.cap_bytes)}` : after
}

function limits(ageMs: number | null, bytes: number | null): string {
  const parts = [
    ...(ageMs === null ? [] : [`after ${formatCount(Math.round(ageMs / dayMs), 'day')}`]),
    ...(bytes === null ? [] : [`beyond ${formatBytes(bytes)}`]),
  ]
  return parts.length === 0 ? 'nothing' : parts.join(' or ')
}

function sinks({ sinks: known, waiting_rows: waiting }: PartitionStats): string {
  const each = known.map(({ name, acknowledged_seq }) => `${name} has up to ${acknowledged_seq}`)
  return `${each.join(', ')}; ${formatCount(waiting, 'row')} to go`
}
