/**
 * The watermark of one partition on the disk: `<sink>/<dataset>/<source>.json`, replaced whole. What cannot be read is
 * told apart from what is not there, and neither is ever taken for an empty one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import { ensurePrivateDirectory, toStorageError, writeFileAtomic } from '@claudemesh/storage'
import { Compile } from 'typebox/compile'
import { formatPartition, type Partition } from '../row-source.ts'
import { isConsistent, type Watermark, watermarkSchema } from './states.ts'

const check = Compile(watermarkSchema)

const extension = '.json'

/** Names of datasets and sources are names of files. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9=_.-]{0,127}$/

export class WatermarkFile {
  readonly #path: string
  readonly #partition: Partition

  /** @param o.directory that of the sink */
  constructor(o: { readonly directory: string; readonly partition: Partition }) {
    const { dataset, source } = o.partition
    if (!namePattern.test(dataset) || !namePattern.test(source)) {
      throw new MeshError('invalid_request', { detail: `${formatPartition(o.partition)} names no partition` })
    }
    this.#partition = o.partition
    this.#path = join(o.directory, dataset, `${source}${extension}`)
  }

  /**
   * @returns null when there is no such file
   * @throws MeshError `sink_stopped`: it is there and cannot be used; `storage_failed`
   */
  read(): Watermark | null {
    const text = this.#readText()
    if (text === null) return null
    const value = parse(text)
    if (check.Check(value) && isConsistent(value)) return value
    throw new MeshError('sink_stopped', {
      detail: `the watermark of ${formatPartition(this.#partition)} cannot be used: ${this.#path}`,
    })
  }

  /** @throws MeshError `insufficient_storage`, `storage_failed`, `unsafe_permissions`; the old one stays then */
  write(watermark: Watermark): void {
    ensurePrivateDirectory(dirname(this.#path))
    writeFileAtomic(this.#path, `${JSON.stringify(watermark)}\n`, { mode: 0o600 })
  }

  #readText(): string | null {
    try {
      return readFileSync(this.#path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
      throw toStorageError(error, this.#path)
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // What is no JSON fits no schema.
    return undefined
  }
}

/** The partitions of which a sink has a watermark, whether it can be used or not. @param directory that of the sink */
export function listWatermarks(directory: string): readonly Partition[] {
  const datasets = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return datasets.flatMap(({ name: dataset }) =>
    readdirSync(join(directory, dataset))
      .filter((name) => name.endsWith(extension) && !name.startsWith('.'))
      .map((name) => ({ dataset, source: basename(name, extension) })),
  )
}
