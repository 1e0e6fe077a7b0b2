import { MeshError } from '@claudemesh/protocol'
import { formatPartition, type Partition, type RowSource } from '../row-source.ts'
import type { SinkState } from './sink-state.ts'

/**
 * Tells the store of the rows how far a sink has a partition, by its watermark. The store is told of an advance after it was
 * written: where it knows more, the watermark is gone, or an older one was put in its place.
 *
 * @throws MeshError `sink_stopped`
 */
export function acknowledge(
  partition: Partition,
  o: { readonly name: string; readonly source: RowSource; readonly state: SinkState },
): void {
  const { name, source, state } = o
  const seq = state.watermark(partition)?.acked.seq ?? 0
  const known = source.acknowledged(name, partition) ?? 0
  if (known > seq) {
    const at = formatPartition(partition)
    const detail = `the watermark of ${at} is gone or older than it was: it stands at ${seq}, and the sink had everything up to ${known}`
    throw new MeshError('sink_stopped', { detail })
  }
  source.acknowledge(name, partition, seq)
}
