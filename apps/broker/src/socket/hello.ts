/**
 * Who is at the other end (05 §2).
 *
 * 1. The origin that the peer signed must be one of this broker's own addresses, as configured; what the HTTP request
 *    said of itself is never consulted. So a hello that was made for another broker is worth nothing here.
 * 2. The nonce is that of this connection, good once and for 30 s. So a hello that was seen is worth nothing either.
 * 3. The member's chain is verified up to the root key of its mesh, and the hello's signature by the key at its end,
 *    before anything is written.
 * 4. What the store has of a member was verified before it was written: whoever comes back with the same chain costs no
 *    more than its hello, and thousands may come back at once behind one address, also to a broker that has just started.
 * 5. A chain may be long, and strangers can make valid ones of a mesh of their own. So others have their turn while it is
 *    verified, what is new in it is charged to the peer's address, and no chain is looked at of a mesh that nobody may be in.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type ChainVerdict,
  judgeVerifiedChain,
  type NonceRegistry,
  verifyChainInTurns,
  verifyHello,
  verifyMeshRecord,
} from '@claudemesh/identity'
import type { CloseName, Frame, MeshRecord } from '@claudemesh/protocol'
import type { Runtime } from '../runtime.ts'
import { type MeshSettings, settingsOf } from '../settings.ts'
import type { AdmissionRefusal, Store } from '../store/store.ts'
import type { CloseReason } from './close-reason.ts'
import type { Identity } from './connection.ts'

export interface HelloDependencies {
  readonly store: Store
  readonly nonces: NonceRegistry
  readonly runtime: Runtime
  /** The addresses under which daemons may know this broker, as `originOf` writes them. */
  readonly origins: ReadonlySet<string>
  readonly registration: 'open' | 'closed'
  readonly settings: MeshSettings
}

export type HelloVerdict =
  | { readonly ok: true; readonly identity: Identity; readonly changed: 'joined' | 'renewed' | null }
  | { readonly ok: false; readonly close: CloseName; readonly reason: CloseReason }

export interface HelloOccasion {
  /** Of the connection's challenge. */
  readonly nonce: string
  /** Whether the peer may have more certificates verified, that many having been. */
  readonly goesOn: (certificates: number) => boolean
}

/** Judges a hello and, if it is good, lets the member in. */
export async function judgeHello(
  dependencies: HelloDependencies,
  hello: Frame<'hello'>,
  { nonce, goesOn }: HelloOccasion,
): Promise<HelloVerdict> {
  // The nonce is used up whatever becomes of the hello.
  if (!dependencies.nonces.use(nonce)) return unauthenticated('nonce_stale')
  if (!dependencies.origins.has(hello.origin)) return unauthenticated('origin_unknown', hello.origin)
  if (!verifyMeshRecord(hello.mesh)) return unauthenticated('mesh_record_invalid')

  const at = dependencies.runtime.now()
  const refusal = await judgeMesh(dependencies, hello.mesh)
  if (refusal !== null) return { ok: false, close: closeOf[refusal], reason: { kind: refusal } }
  const verdict = await judgeChain(dependencies.store, hello, { at, goesOn })
  if (verdict === null) return { ok: false, close: 'service_restart', reason: { kind: 'handshakes_throttled' } }
  if (!verdict.ok) return unauthenticated('chain_invalid', verdict.reason)
  const { member } = verdict
  if (member.memberId !== hello.member_id) return unauthenticated('chain_invalid', 'another_member')
  const signed = verifyHello({
    origin: hello.origin,
    meshId: hello.mesh.mesh_id,
    memberId: hello.member_id,
    nonce,
    options: hello.options,
    signature: hello.signature,
    publicKey: member.signingKey,
  })
  if (!signed) return unauthenticated('signature_invalid')

  const outcome = await dependencies.store.admit({
    ...member,
    mesh: hello.mesh,
    chain: hello.chain,
    hostFingerprint: hello.host_fingerprint,
    ephemeralTtlMs: hello.options.ephemeral_ttl_ms ?? null,
    mayRegister: dependencies.registration === 'open',
    at,
  })
  if (outcome.kind !== 'admitted') return { ok: false, close: closeOf[outcome.kind], reason: { kind: outcome.kind } }
  return {
    ok: true,
    identity: {
      meshId: outcome.mesh.meshId,
      memberId: member.memberId,
      settings: settingsOf(outcome.mesh, dependencies.settings),
      options: hello.options,
    },
    changed: outcome.changed,
  }
}

/** @returns null when the peer's address has had its share of verifying */
async function judgeChain(
  store: Store,
  { mesh, chain, member_id: memberId }: Frame<'hello'>,
  { at, goesOn }: { readonly at: number } & Pick<HelloOccasion, 'goesOn'>,
): Promise<ChainVerdict | null> {
  const input = { mesh, chain, now: at }
  const known = await store.findMember({ meshId: mesh.mesh_id, memberId })
  if (known !== null && JSON.stringify(known.chain) === JSON.stringify(chain)) return judgeVerifiedChain(input)
  return await verifyChainInTurns(input, async (certificates) => {
    await nextTurn()
    return goesOn(certificates)
  })
}

/** What a store would say of the mesh when everything else was verified. */
async function judgeMesh(
  { store, registration }: HelloDependencies,
  mesh: MeshRecord,
): Promise<Extract<AdmissionRefusal, 'mesh_unknown' | 'mesh_conflict'> | null> {
  const known = await store.findMesh(mesh.mesh_id)
  if (known === null) return registration === 'open' ? null : 'mesh_unknown'
  return known.rootKey === mesh.root_key ? null : 'mesh_conflict'
}

const closeOf: Readonly<Record<AdmissionRefusal, CloseName>> = {
  mesh_unknown: 'unauthenticated',
  mesh_conflict: 'unauthenticated',
  member_revoked: 'member_revoked',
  epoch_stale: 'unauthenticated',
  epoch_conflict: 'unauthenticated',
  invite_expired: 'unauthenticated',
  invite_used_up: 'unauthenticated',
  invite_revoked: 'unauthenticated',
  issuer_revoked: 'unauthenticated',
}

function unauthenticated(kind: string, detail?: string): HelloVerdict {
  return { ok: false, close: 'unauthenticated', reason: { kind, ...(detail === undefined ? {} : { detail }) } }
}
