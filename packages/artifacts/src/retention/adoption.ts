/**
 * Bytes that nothing refers to, as files of open packages. When events are lost, nobody can tell bytes that are garbage from
 * bytes that somebody relies on; what is in an open package is not collected until somebody has looked and gives it up.
 */

import { ArtifactError } from '../artifact-error.ts'
import type { DataPlane, VerifyResult } from '../dataplane/spi.ts'
import type { EventLog } from '../events/event-log.ts'
import { type ContentAddress, toDigest } from '../identity/content-address.ts'
import type { Placing } from '../registry/ingest/placing.ts'
import type { Packages } from '../registry/packages.ts'
import { objectKey } from '../storage/object-key.ts'
import type { ListedObject } from '../storage/spi.ts'
import { isReferenced } from './statements.ts'

export interface Adopted {
  /** The open packages that have the bytes now. */
  readonly packages: readonly string[]
  readonly objects: number
  /** Objects that are not what their address says: they are left where they are. */
  readonly damaged: readonly ContentAddress[]
}

export class Adoption {
  readonly #log: EventLog
  readonly #plane: DataPlane
  readonly #packages: Packages
  readonly #placing: Placing
  readonly #filesMax: number

  constructor(o: {
    readonly log: EventLog
    readonly plane: DataPlane
    readonly packages: Packages
    readonly placing: Placing
    readonly filesMax: number
  }) {
    this.#log = o.log
    this.#plane = o.plane
    this.#packages = o.packages
    this.#placing = o.placing
    this.#filesMax = o.filesMax
  }

  /** Reads all of what it adopts. A kill leaves some of it adopted; the next call goes on. */
  async adopt(actor: string): Promise<Adopted> {
    const packages: string[] = []
    const damaged: ContentAddress[] = []
    let objects = 0
    for (const backendId of this.#plane.listBackends()) {
      for await (const object of this.#plane.listObjects(backendId)) {
        if (await this.#log.read((session) => isReferenced(session, backendId, object.address))) continue
        const { verified, actual } = await this.#plane.verifyObject(object.address, { backendId })
        if (!verified || actual === null) {
          damaged.push(object.address)
          continue
        }
        if (objects % this.#filesMax === 0) packages.push(await this.#openPackage(actor))
        await this.#place(object, { packageId: packages.at(-1) ?? '', backendId, actual, actor })
        objects += 1
      }
    }
    return { packages, objects, damaged }
  }

  async #openPackage(actor: string): Promise<string> {
    const draft = { name: 'recovered bytes', producer: 'claudemesh', retentionClass: 'permanent-record', actor }
    return (await this.#packages.create(draft)).packageId
  }

  async #place(
    { address, storedAt }: ListedObject,
    o: {
      readonly packageId: string
      readonly backendId: string
      readonly actual: NonNullable<VerifyResult['actual']>
      readonly actor: string
    },
  ): Promise<void> {
    const { backendId, actual, actor } = o
    const { algorithm, hex } = toDigest(address)
    const place = { relativePath: `${algorithm}/${hex}`, mediaType: 'application/octet-stream', actor }
    const wanted = await this.#placing.prepare(o.packageId, { ...place, key: null })
    const { sizeBytes } = actual
    await this.#placing.commit(wanted, {
      ...actual,
      deduplicated: true,
      receipt: {
        contentAddress: address,
        backendId,
        objectKey: objectKey(address),
        sizeBytes,
        storedAt,
        existed: true,
        healed: false,
      },
      restore: async () => {
        if ((await this.#plane.headObject(address, backendId)) === null) throw new ArtifactError('object_not_found')
      },
    })
  }
}
