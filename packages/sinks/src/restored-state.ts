/**
 * The sinks of a daemon in its backup, and again in a home that is restored from it.
 *
 * 1. A restored home has none of the rows that the other one recorded, and gives its own rows seqs behind a gap. Its sinks begin at the
 *    end of that gap: no range, no name of an object and no id of a batch is one that the other home can have made.
 * 2. What was on its way when the backup was made is the other home's to ship: a restored sink has no intent.
 * 3. One that was paused stays so.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory } from '@claudemesh/storage'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { SinkRecordFile } from './driver/sink-record.ts'
import { listSinks } from './state-files.ts'
import { reset } from './watermark/states.ts'
import { listWatermarks, WatermarkFile } from './watermark/watermark-file.ts'

const partitionSchema = Type.Object({ dataset: Type.String(), source: Type.String() })
const snapshotSchema = Type.Object({
  v: Type.Literal(1),
  sinks: Type.Array(
    Type.Object({
      name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]*$' }),
      paused: Type.Boolean(),
      partitions: Type.Array(partitionSchema),
    }),
  ),
})
const check = Compile(snapshotSchema)

/** @param directory of the state of all sinks @returns the bytes for a backup; null when there is no sink */
export function snapshotSinks(directory: string): Buffer | null {
  const sinks = listSinks(directory).map((name) => {
    const own = join(directory, name)
    return { name, paused: isPaused(own), partitions: [...listWatermarks(own)] }
  })
  const snapshot: Static<typeof snapshotSchema> = { v: 1, sinks }
  return sinks.length === 0 ? null : Buffer.from(`${JSON.stringify(snapshot)}\n`)
}

/**
 * Makes the state of the sinks of a restored home.
 *
 * @param o.seq the greatest that its history passes over
 * @throws MeshError `passphrase_file_invalid` of other bytes, `insufficient_storage`, `storage_failed`
 */
export function restoreSinks(
  directory: string,
  o: { readonly bytes: Buffer; readonly seq: number; readonly nextId: () => string; readonly now: number },
): void {
  for (const { name, paused, partitions } of parse(o.bytes).sinks) {
    const own = join(directory, name)
    for (const path of [directory, own]) ensurePrivateDirectory(path)
    for (const partition of partitions) {
      new WatermarkFile({ directory: own, partition }).write(reset(null, { to: o.seq, at: o.now }))
    }
    const entries = partitions.map((partition) => ({ ...partition, respool: null }))
    new SinkRecordFile(own).write({ v: 1, id: o.nextId(), paused, last_run: null, partitions: entries })
  }
}

/** One whose record cannot be read is not known to be paused, and stops by itself. */
function isPaused(directory: string): boolean {
  if (!existsSync(directory)) return false
  try {
    return new SinkRecordFile(directory).read()?.paused ?? false
  } catch (error) {
    if (error instanceof MeshError && error.code === 'sink_stopped') return false
    throw error
  }
}

function parse(bytes: Buffer): Static<typeof snapshotSchema> {
  const value: unknown = JSON.parse(bytes.toString('utf8'))
  if (check.Check(value)) return value
  throw new MeshError('passphrase_file_invalid', { detail: 'the backup holds sinks that are none' })
}
