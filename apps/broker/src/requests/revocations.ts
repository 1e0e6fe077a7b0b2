/**
 * Revocation lists (05 §1): the broker judges one by the rules that every daemon applies, and passes it on.
 *
 * 1. Who hands a list in does not matter, who signed it does: the root key, or an admin that is an active member here
 *    and whose current key it is.
 * 2. Of two lists made at once the first is put in force. The other is answered `revocation_list_stale`, since it would
 *    take back what it does not contain.
 * 3. Connections of whoever is revoked are closed after the commit, and only then are the others told.
 */
import { type RevocationFault, verifyRevocationList } from '@claudemesh/identity'
import { type ErrorCode, MeshError } from '@claudemesh/protocol'
import { departureRowsMax } from '../limits.ts'
import type { RevocationChange } from '../store/departures.ts'
import { announceDeparture } from './leave.ts'
import type { RequestDependencies, RequestHandler } from './request-handler.ts'

export const getRevocations: RequestHandler<'revocations.get'> = async ({ store }, caller) => {
  const found = await store.findRevocations(caller.meshId)
  return found === null ? { list: null, chain: [] } : { list: found.list, chain: [...found.chain] }
}

export const putRevocations: RequestHandler<'revocations.put'> = async (dependencies, caller, put) => {
  const { store, connections } = dependencies
  const { meshId } = caller
  const { number } = put.list
  const inForce = await store.findRevocations(meshId)
  // Handed in a second time, since the first answer was lost.
  if (inForce?.list.signature === put.list.signature) return { number }
  const follows = inForce?.list ?? null
  const issuer = await judge(dependencies, meshId, { ...put, previous: follows })
  const outcome = await store.putRevocations({
    ...put,
    follows: follows?.number ?? null,
    issuer,
    at: dependencies.runtime.now(),
    rowsMax: departureRowsMax,
  })
  if (outcome.kind !== 'stored') throw new MeshError(lateRefusals[outcome.kind])
  for (const memberId of outcome.revoked) connections.close({ meshId, memberId }, 'member_revoked')
  connections.broadcast(meshId, [{ kind: 'revocations', number }])
  announceDeparture(dependencies, meshId, outcome.departure)
  return { number }
}

type Judged = Pick<Parameters<typeof verifyRevocationList>[0], 'list' | 'previous'> & Pick<RevocationChange, 'chain'>

/** @returns the admin who signed the list, null for the root key */
async function judge(
  { store, runtime }: RequestDependencies,
  meshId: string,
  { list, chain, previous }: Judged,
): Promise<RevocationChange['issuer']> {
  const mesh = await store.findMesh(meshId)
  if (mesh === null) throw new Error('the mesh of a member is registered')
  const verdict = verifyRevocationList({
    mesh: { mesh_id: meshId, root_key: mesh.rootKey },
    list,
    issuerChain: chain,
    previous,
    now: runtime.now(),
  })
  if (verdict.ok) return verdict.issuer
  throw new MeshError(refusals[verdict.reason], {
    detail: `the revocation list cannot be put in force: ${verdict.chainFault ?? verdict.reason}`,
  })
}

const refusals: Readonly<Record<RevocationFault, ErrorCode>> = {
  number_not_newer: 'revocation_list_stale',
  issuer_mismatch: 'not_admin',
  issuer_unproven: 'not_admin',
  issuer_not_admin: 'not_admin',
  issuer_revoked: 'not_admin',
  mesh_foreign: 'invalid_request',
  number_ahead_of_time: 'invalid_request',
  issued_in_future: 'invalid_request',
  entries_not_ascending: 'invalid_request',
  entry_in_future: 'invalid_request',
  entry_withdrawn: 'invalid_request',
  reason_uncarriable: 'invalid_request',
  entries_reserved: 'revocation_list_full',
  signature_invalid: 'invalid_request',
}

/** What only the transaction can tell. */
const lateRefusals = {
  stale: 'revocation_list_stale',
  issuer_refused: 'not_admin',
} as const satisfies Record<string, ErrorCode>
