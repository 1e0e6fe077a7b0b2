import { randomBytes } from 'node:crypto'
import { MeshError } from '@claudemesh/protocol'
import type { RelayConfig } from '../config.ts'
import type { BlobPlace } from './place.ts'
import { openBlobPlace } from './place.ts'
import { Relay, type RelayOptions } from './relay.ts'

/**
 * Opens the relay, and agrees with the other brokers over the same database on the key of the tickets and on the place.
 *
 * @param o.isShared whether there may be others, for which the bytes must be in the same place
 * @throws MeshError `config_invalid`: the others keep blobs somewhere else
 */
export async function openRelay(
  config: RelayConfig,
  o: Omit<RelayOptions, 'place' | 'ticketKey' | 'bytesMax'> & { readonly isShared: boolean },
): Promise<{ readonly relay: Relay; readonly place: BlobPlace }> {
  const place = await openBlobPlace(config, o.runtime)
  try {
    const terms = await o.store.blobs.agree({ ticketKey: randomBytes(32), place: place.name })
    if (terms.place !== place.name) {
      if (o.isShared) throw otherPlace(config, { found: place.name, agreed: terms.place })
      // What the rows still name ends when somebody asks for it.
      o.log.warn({ place: place.name, before: terms.place }, 'blobs_are_elsewhere')
    }
    const { bytesMax } = config
    return { relay: new Relay({ ...o, place, ticketKey: terms.ticketKey, bytesMax }), place }
  } catch (error) {
    place.close()
    throw error
  }
}

function otherPlace(
  { directory, bucket }: RelayConfig,
  { found, agreed }: { readonly found: string; readonly agreed: string },
): MeshError {
  const where = bucket === null ? `the directory ${directory} is ${found}` : `blobs are kept in ${found}`
  return new MeshError('config_invalid', {
    detail: `${where}, and the brokers over this database keep theirs in ${agreed}`,
    data: { field: 'CLAUDEMESH_BROKER_BLOB_DIRECTORY' },
    hint: 'Give every broker the same directory, on storage that they share, or the same bucket. See docs/self-hosting.md.',
  })
}
