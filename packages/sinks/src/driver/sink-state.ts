/**
 * What is on the disk of one sink: its record and the watermarks of its partitions, opened and changed together.
 *
 * 1. A partition is begun by its watermark first and its entry in the record second: an entry without a watermark means that
 *    the watermark was lost.
 * 2. What was lost or cannot be read stops the sink until an operator says how far its destination is. A record that cannot
 *    be read stops all of it; the first reset founds it anew, with the watermarks that are there.
 */
import { MeshError } from '@claudemesh/protocol'
import { crashPoint } from '@claudemesh/storage'
import { formatPartition, type Partition } from '../row-source.ts'
import { begin, reset, type Watermark } from '../watermark/states.ts'
import { listWatermarks, WatermarkFile } from '../watermark/watermark-file.ts'
import { type Respool, type SinkRecord, SinkRecordFile } from './sink-record.ts'

export class SinkState {
  readonly #directory: string
  readonly #file: SinkRecordFile
  #record: SinkRecord
  /** Why the record cannot be used that is on the disk; null: it can. */
  #damage: MeshError | null

  /**
   * Opens the state of a sink, or founds it with a new id.
   *
   * @throws MeshError `insufficient_storage`, `storage_failed`, `unsafe_permissions`
   */
  static open(o: { readonly directory: string; readonly nextId: () => string }): SinkState {
    const file = new SinkRecordFile(o.directory)
    const founded: SinkRecord = { v: 1, id: o.nextId(), paused: false, last_run: null, partitions: [] }
    try {
      const found = file.read()
      if (found === null) file.write(founded)
      return new SinkState({ directory: o.directory, file, record: found ?? founded, damage: null })
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'sink_stopped') throw error
      const partitions = listWatermarks(o.directory).map((partition) => ({ ...partition, respool: null }))
      return new SinkState({ directory: o.directory, file, record: { ...founded, partitions }, damage: error })
    }
  }

  private constructor(o: { directory: string; file: SinkRecordFile; record: SinkRecord; damage: MeshError | null }) {
    this.#directory = o.directory
    this.#file = o.file
    this.#record = o.record
    this.#damage = o.damage
  }

  get record(): SinkRecord {
    return this.#record
  }

  /** Changes the record on the disk and then here. @throws as writing it does; nothing is changed then */
  change(changed: Partial<Pick<SinkRecord, 'paused' | 'last_run' | 'partitions'>>): void {
    if (this.#damage !== null) throw this.#damage
    const record = { ...this.#record, ...changed }
    this.#file.write(record)
    this.#record = record
  }

  watermarkFile(partition: Partition): WatermarkFile {
    return new WatermarkFile({ directory: this.#directory, partition })
  }

  /**
   * How far a partition is; null: it was never begun.
   *
   * @throws MeshError `sink_stopped`
   */
  watermark(partition: Partition): Watermark | null {
    if (this.#damage !== null) throw this.#damage
    const found = this.watermarkFile(partition).read()
    if (found !== null || this.#entry(partition) === undefined) return found
    throw new MeshError('sink_stopped', { detail: `the watermark of ${formatPartition(partition)} is gone` })
  }

  /** Makes sure that a partition has a watermark and an entry. @throws as `watermark`, and as writing does */
  begin(partition: Partition, at: number): Watermark {
    const found = this.watermark(partition)
    const watermark = found ?? begin(null, { at })
    if (found === null) this.watermarkFile(partition).write(watermark)
    crashPoint('sinks.begun')
    if (this.#entry(partition) === undefined) this.#putEntry(partition, null)
    return watermark
  }

  /** An operator says how far the destination has a partition. */
  reset(partition: Partition, o: { readonly to: number; readonly at: number }): void {
    const file = this.watermarkFile(partition)
    file.write(reset(readable(file), o))
    if (this.#damage !== null) this.#file.write(this.#record)
    this.#damage = null
    this.#putEntry(partition, null)
  }

  respool(partition: Partition): Respool | null {
    return this.#entry(partition)?.respool ?? null
  }

  setRespool(partition: Partition, respool: Respool | null): void {
    if (respool === null && this.respool(partition) === null) return
    this.#putEntry(partition, respool)
  }

  #entry({ dataset, source }: Partition) {
    return this.#record.partitions.find((entry) => entry.dataset === dataset && entry.source === source)
  }

  #putEntry({ dataset, source }: Partition, respool: Respool | null): void {
    const others = this.#record.partitions.filter((entry) => entry.dataset !== dataset || entry.source !== source)
    this.change({ partitions: [...others, { dataset, source, respool }] })
  }
}

/** What is there of a watermark that is about to be replaced: one that cannot be used is no obstacle. */
function readable(file: WatermarkFile): Watermark | null {
  try {
    return file.read()
  } catch (error) {
    if (error instanceof MeshError && error.code === 'sink_stopped') return null
    throw error
  }
}
