/** What is on the disk of the sinks of a daemon, for who looks at it while none of them runs. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { SinkRecordFile } from './driver/sink-record.ts'
import { formatPartition, type Partition } from './row-source.ts'
import { listWatermarks, WatermarkFile } from './watermark/watermark-file.ts'

/** How far a destination may have a partition, by the watermark of its sink. */
export interface ExportedPartition {
  readonly partition: Partition
  readonly seq: number
}

/** The names of the sinks that have state. @param directory of the state of all sinks */
export function listSinks(directory: string): readonly string[] {
  if (!existsSync(directory)) return []
  const entries = readdirSync(directory, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

/**
 * Everything that may be at some destination, also of sinks that are not configured any more. A watermark that cannot be used
 * says nothing.
 */
export function listExported(directory: string): readonly ExportedPartition[] {
  return listSinks(directory).flatMap((name) => {
    const own = join(directory, name)
    return listWatermarks(own).flatMap((partition) => {
      const found = unlessUnusable(() => new WatermarkFile({ directory: own, partition }).read())
      if (found === null || found instanceof MeshError) return []
      const seq = found.intent?.until ?? found.acked.seq
      return seq > 0 ? [{ partition, seq }] : []
    })
  })
}

/** What is wrong with the state of a sink, a sentence each; nothing when it can go on. @param directory that of the sink */
export function listStateFaults(directory: string): readonly string[] {
  const record = unlessUnusable(() => new SinkRecordFile(directory).read())
  const watermarks = listWatermarks(directory)
  const faults = watermarks.map((partition) => unlessUnusable(() => new WatermarkFile({ directory, partition }).read()))
  const entries = record instanceof MeshError || record === null ? [] : record.partitions
  const there = new Set(watermarks.map(formatPartition))
  const gone = entries.map(formatPartition).filter((name) => !there.has(name))
  return [
    ...[record, ...faults].flatMap((found) => (found instanceof MeshError ? [found.message] : [])),
    ...gone.map((name) => `the watermark of ${name} is gone`),
  ]
}

/** @returns the error that says that a file is there and cannot be used */
function unlessUnusable<T>(read: () => T): T | MeshError {
  try {
    return read()
  } catch (error) {
    if (error instanceof MeshError && (error.code === 'sink_stopped' || error.code === 'invalid_request')) return error
    throw error
  }
}
