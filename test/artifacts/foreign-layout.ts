/** Image layouts as other tools write them, and as an enemy would. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { digestBytes } from '@claudemesh/artifacts'
import { scratchDirectory } from '../support/scratch-directory.ts'

export interface Described {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export const imageManifestType = 'application/vnd.oci.image.manifest.v1+json'
export const imageIndexType = 'application/vnd.oci.image.index.v1+json'
const titleKey = 'org.opencontainers.image.title'
const refKey = 'org.opencontainers.image.ref.name'

export const titled = (title: string) => ({ annotations: { [titleKey]: title } })
export const named = (ref: string) => ({ annotations: { [refKey]: ref } })

export class ForeignLayout {
  readonly directory = join(scratchDirectory(), 'layout')

  constructor() {
    this.write('oci-layout', '{"imageLayoutVersion": "1.0.0"}')
    mkdirSync(join(this.directory, 'blobs/sha256'), { recursive: true })
  }

  write(name: string, bytes: string | Uint8Array): void {
    mkdirSync(dirname(join(this.directory, name)), { recursive: true })
    writeFileSync(join(this.directory, name), bytes)
  }

  blob(
    bytes: string | Uint8Array,
    change: Partial<Described> = {},
    algorithm: 'sha256' | 'blake3' = 'sha256',
  ): Described {
    const buffer = Buffer.from(bytes)
    const { primary } = digestBytes(buffer)
    const hex = algorithm === 'blake3' ? primary.hex : createHash('sha256').update(buffer).digest('hex')
    this.write(`blobs/${algorithm}/${hex}`, buffer)
    return { mediaType: 'application/octet-stream', digest: `${algorithm}:${hex}`, size: buffer.length, ...change }
  }

  json(value: unknown, change: Partial<Described> = {}): Described {
    return this.blob(JSON.stringify(value, null, 2), change)
  }

  /** An image manifest with these layers; what is undefined is left out. */
  image(layers: readonly Described[], change: Readonly<Record<string, unknown>> = {}): Described {
    const config = this.blob('{}', { mediaType: 'application/vnd.oci.empty.v1+json' })
    const manifest = { schemaVersion: 2, mediaType: imageManifestType, config, layers, ...change }
    return this.json(manifest, { mediaType: imageManifestType })
  }

  nest(manifests: readonly Described[]): Described {
    return this.json({ schemaVersion: 2, mediaType: imageIndexType, manifests }, { mediaType: imageIndexType })
  }

  /** Writes `index.json`. */
  list(...manifests: readonly Described[]): string {
    this.write('index.json', JSON.stringify({ schemaVersion: 2, manifests }))
    return this.directory
  }
}
