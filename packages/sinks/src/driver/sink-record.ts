/**
 * What the driver knows of a sink beside its watermarks: `<sink>/sink.json`, replaced whole.
 *
 * 1. Its id is made once and is in the ids of all its chunks.
 * 2. It lists every partition that was ever begun: a watermark that is missing for one of them was lost, and is not taken for
 *    that of a new partition.
 * 3. A partition that could not be exported is in the respool until it could, also over a restart.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory, toStorageError, writeFileAtomic } from '@claudemesh/storage'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'

const time = Type.Integer({ minimum: 0 })

const respoolSchema = Type.Object(
  { failures: Type.Integer({ minimum: 1 }), retry_at: time, error: Type.String() },
  { additionalProperties: false },
)

const recordSchema = Type.Object(
  {
    v: Type.Literal(1),
    id: Type.String({ minLength: 1 }),
    paused: Type.Boolean(),
    last_run: Type.Union([
      Type.Null(),
      Type.Object(
        {
          started_at: time,
          ended_at: time,
          rows: Type.Integer({ minimum: 0 }),
          lost: Type.Integer({ minimum: 0 }),
          error: Type.Union([Type.Null(), Type.String()]),
        },
        { additionalProperties: false },
      ),
    ]),
    partitions: Type.Array(
      Type.Object(
        {
          dataset: Type.String(),
          source: Type.String(),
          /** Null: it is as far as it could be. */
          respool: Type.Union([Type.Null(), respoolSchema]),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)

export type SinkRecord = Static<typeof recordSchema>
export type Respool = Static<typeof respoolSchema>

const check = Compile(recordSchema)

export class SinkRecordFile {
  readonly #directory: string
  readonly #path: string

  /** @param directory that of the sink */
  constructor(directory: string) {
    this.#directory = directory
    this.#path = join(directory, 'sink.json')
  }

  /**
   * @returns null when there is no such file
   * @throws MeshError `sink_stopped`: it is there and cannot be used
   */
  read(): SinkRecord | null {
    const value = readJson(this.#path)
    if (value === null || check.Check(value)) return value
    throw new MeshError('sink_stopped', { detail: `the record of the sink cannot be used: ${this.#path}` })
  }

  /** @throws MeshError `insufficient_storage`, `storage_failed`, `unsafe_permissions`; the old one stays then */
  write(record: SinkRecord): void {
    ensurePrivateDirectory(this.#directory)
    writeFileAtomic(this.#path, `${JSON.stringify(record)}\n`, { mode: 0o600 })
  }
}

/** @returns null when there is no such file; undefined when it holds no JSON */
function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw toStorageError(error, path)
  }
}
