import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FreezeResponse } from '@claudemesh/protocol'
import { claimRowsMax } from '../limits.ts'
import type { ClaimOptions, Outbox } from '../outbox/outbox.ts'

/**
 * Seals every pending row that can be sealed with what this host knows, batch by batch, so that everything else has its
 * turn in between. A copy of the outbox that is made after it holds the bytes that travel.
 *
 * @throws MeshError `insufficient_storage` or `storage_failed`
 */
export async function freezeOutbox(o: {
  readonly outbox: Outbox
  readonly seal: ClaimOptions['seal']
}): Promise<FreezeResponse> {
  let frozen = 0
  let unsealed = 0
  for (let after: number | null = 0; after !== null; await nextTurn()) {
    const batch = o.outbox.freeze({ after, rowsMax: claimRowsMax, seal: o.seal })
    frozen += batch.frozen
    unsealed += batch.unsealed
    after = batch.next
  }
  return { frozen, unsealed }
}
