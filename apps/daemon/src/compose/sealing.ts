/** Part of the composition root: the keys that seal and open, and who seals with them. */
import { RandomPool } from '@claudemesh/sealing'
import { OwnBoxKeys } from '../box-keys.ts'
import type { Stores } from '../lifecycle/open-stores.ts'
import type { SealableRow } from '../outbox/outbox.ts'
import { Sealer, type SealerOptions } from '../send/seal.ts'
import type { VerbParts } from './verb-parts.ts'

export function composeSealer({ identity }: Stores, parts: Pick<SealerOptions, 'boxKeys' | 'recipients' | 'skipped'>) {
  const { mesh, memberId } = identity.meshFile
  const randomPool = new RandomPool()
  const randomBytes = (length: number) => randomPool.take(length)
  const sealer = new Sealer({ ...parts, meshId: mesh.mesh_id, selfId: memberId, randomBytes })
  return {
    seal: (row: SealableRow) => sealer.seal(row),
    sealForKnown: (row: SealableRow) => sealer.sealForKnown(row),
  }
}

/** The keys that seal and open, kept in step with the identity. */
export function composeBoxKeys({ stores, runtime }: VerbParts, o: { readonly onReplaced: () => void }): OwnBoxKeys {
  const { identity, members } = stores
  const held = () => ({ box: identity.keys.box, epoch: identity.certificate.epoch, archived: identity.archived })
  const boxKeys = new OwnBoxKeys(held(), runtime.now)
  members.learnOwnKeys(identity.meshFile.chain)
  identity.onChange(() => {
    boxKeys.replace(held())
    members.learnOwnKeys(identity.meshFile.chain)
    o.onReplaced()
  })
  return boxKeys
}
