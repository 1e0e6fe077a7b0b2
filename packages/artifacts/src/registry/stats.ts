import type { DataPlane } from '../dataplane/spi.ts'
import type { EventLog } from '../events/event-log.ts'
import { isReferenced, sumPackages } from '../retention/statements.ts'

export interface Stats {
  readonly packages: number
  readonly files: number
  /** What packages say that they hold. */
  readonly logicalBytes: number
  /** What the backends hold: each content once. */
  readonly physicalBytes: number
  readonly objects: number
  /** Of those, what no package refers to. */
  readonly unreferencedBytes: number
}

/** Sums up the packages, and goes through all objects of all backends. */
export async function readStats(log: EventLog, plane: DataPlane): Promise<Stats> {
  const { packages, files, bytes } = await log.read(sumPackages)
  let objects = 0
  let physicalBytes = 0
  let unreferencedBytes = 0
  for (const backendId of plane.listBackends()) {
    for await (const { address, size } of plane.listObjects(backendId)) {
      objects += 1
      physicalBytes += size
      if (!(await log.read((session) => isReferenced(session, backendId, address)))) unreferencedBytes += size
    }
  }
  return { packages, files, logicalBytes: bytes, physicalBytes, objects, unreferencedBytes }
}
