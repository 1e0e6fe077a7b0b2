import type { Sink } from '@claudemesh/protocol/sinks'
import type { CommandDefinition } from '../../command.ts'
import { withDaemon } from '../../connection.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { oneLine } from '../../output/printable.ts'
import { formatDuration, formatTime } from '../../output/quantity.ts'

export const command: CommandDefinition = {
  summary: 'Show how far a sink is, and what it waits for',
  arguments: [{ syntax: '<name>', describe: 'of the sink' }],
  examples: [{ line: 'claudemesh sink status nightly', describe: 'watermark, lag, last run, last error, next run' }],

  async run(invocation) {
    const [name] = invocation.args
    if (name === undefined) throw invalidUsage('the name of the sink is missing')
    const sink = await withDaemon(invocation, ({ sinks }) => sinks.get(name))
    invocation.terminal.print({ value: sink, render: () => renderSink(sink) })
    return exitCodes.ok
  },
}

function renderSink(sink: Sink): string[] {
  const { last_run: last, next_run_at: next } = sink
  return [
    `${sink.name}: ${sink.phase}, to ${oneLine(sink.destination)}`,
    ...(sink.stopped === null
      ? []
      : [`  ${sink.stopped}`, `  -> claudemesh sink reset ${sink.name} --from-destination`]),
    ...(last === null ? ['never ran'] : [`last run ${formatTime(last.ended_at)}: ${last.rows} rows`]),
    ...(last?.error === null || last === null ? [] : [`  ${oneLine(last.error)}`]),
    ...(next === null ? [] : [`next run ${formatTime(next)}`]),
    ...sink.partitions.flatMap(renderPartition),
  ]
}

function renderPartition(partition: Sink['partitions'][number]): string[] {
  const { rows_behind: behind, seconds_behind: seconds, retry_at: retryAt, error, lost } = partition
  const lag =
    behind === 0
      ? 'up to date'
      : `at most ${behind} rows behind, the oldest ${formatDuration((seconds ?? 0) * 1000)} old`
  return [
    `${partition.partition}: ${partition.acked === null ? 'unknown' : lag}, ${partition.rows} exported`,
    ...(lost === 0 ? [] : [`  ${lost} were deleted before they were exported`]),
    ...(error === null ? [] : [`  ${oneLine(error)}`]),
    ...(retryAt === null ? [] : [`  tried again ${formatTime(retryAt)}`]),
  ]
}
