/**
 * Ends a member's or an invite's place in the mesh (05 §1): the list in force, with one entry more, signed on this host
 * and handed to the broker, which passes it on. Every daemon judges by the list itself.
 *
 * 1. It begins from the broker's list, and begins again when somebody else put one there meanwhile: no revocation is
 *    lost to another.
 * 2. It returns when the broker has the list in force and this host keeps it. What is revoked already is a success.
 */

import type { SigningKeyPair } from '@claudemesh/identity'
import { mergeRevocations, type RevocationChanges, signRevocationList } from '@claudemesh/identity'
import {
  type Certificate,
  MeshError,
  type MeshRecord,
  type Operation,
  parseAddress,
  type RequestParams,
  type RequestResult,
  type RevokeInviteResponse,
  type RevokeMemberResponse,
} from '@claudemesh/protocol'
import { revocationAttemptsMax } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Members } from '../members/members.ts'
import type { SignedRevocations } from '../members/revocations.ts'
import type { Runtime } from '../runtime.ts'

/** With what a list is signed: the root key with an empty chain, or an admin's key with its chain. */
export interface Issuer {
  readonly signing: SigningKeyPair
  readonly chain: readonly Certificate[]
}

export interface RevokerOptions {
  readonly mesh: MeshRecord
  /** Asked each time: keys change. */
  readonly issuer: () => Issuer
  readonly members: Members
  /** Brings the list of this host up to the broker's. */
  readonly refreshRevocations: () => Promise<void>
  readonly refreshDirectory: () => Promise<void>
  readonly request: <O extends Operation>(op: O, params: RequestParams<O>) => Promise<RequestResult<O>>
  readonly runtime: Runtime
  readonly log: Log
}

export class Revoker {
  readonly #options: RevokerOptions

  constructor(options: RevokerOptions) {
    this.#options = options
  }

  /**
   * Revokes a member, by name or id.
   *
   * @throws MeshError `not_admin`, `invalid_destination` for what is neither, `recipient_unknown`, `recipient_ambiguous`,
   *   `invalid_request` for this host itself, `revocation_list_full`, `revocation_list_stale`, or what the broker answers
   */
  async revokeMember(member: string, reason: string | null): Promise<RevokeMemberResponse> {
    this.#assertMayRevoke()
    const { memberId, name } = await this.#resolve(member)
    if (memberId === this.#options.members.selfId) {
      throw new MeshError('invalid_request', {
        detail: 'a member cannot revoke itself: it could not take part in telling the others',
        hint: 'Let another admin revoke it, or the host that keeps the root key.',
        data: { field: 'member' },
      })
    }
    const find = ({ list }: SignedRevocations) => list.revoked_members.find((entry) => entry.member_id === memberId)
    const at = this.#options.runtime.now()
    const entry = { member_id: memberId, at, ...(reason === null ? {} : { reason }) }
    const { found, changed, number } = await this.#ensure(find, { members: [entry] })
    return { member_id: memberId, name, changed, revoked_at: found.at, number }
  }

  /** Revokes an invite, of this host or another. Who joined by it before stays. Throws as `revokeMember` does. */
  async revokeInvite(inviteId: string): Promise<RevokeInviteResponse> {
    this.#assertMayRevoke()
    const find = ({ list }: SignedRevocations) => list.revoked_invites.find((entry) => entry.invite_id === inviteId)
    const at = this.#options.runtime.now()
    const { found, changed, number } = await this.#ensure(find, { invites: [{ invite_id: inviteId, at }] })
    return { invite_id: inviteId, changed, revoked_at: found.at, number }
  }

  /** Puts lists in force until one holds what is looked for. */
  async #ensure<Entry>(
    find: (signed: SignedRevocations) => Entry | undefined,
    changes: RevocationChanges,
  ): Promise<{ found: Entry; changed: boolean; number: number }> {
    const { members, refreshRevocations } = this.#options
    for (let attempt = 1; ; attempt += 1) {
      await refreshRevocations()
      const known = members.revocations.newest
      const before = known === null ? undefined : find(known)
      if (known !== null && before !== undefined) return { found: before, changed: false, number: known.list.number }
      const signed = this.#sign(known, changes)
      const found = find(signed)
      if (found === undefined) throw new Error('a list that was merged lacks what it was merged with')
      if (await this.#put(signed, attempt)) return { found, changed: true, number: signed.list.number }
    }
  }

  #sign(previous: SignedRevocations | null, changes: RevocationChanges): SignedRevocations {
    const { mesh, issuer, runtime } = this.#options
    const { signing, chain } = issuer()
    const unsigned = mergeRevocations({
      meshId: mesh.mesh_id,
      previous: previous?.list ?? null,
      changes,
      now: runtime.now(),
    })
    return { list: signRevocationList({ mesh, list: unsigned, issuer: { signing, chain } }), chain }
  }

  /** @returns false when another list was put in force since ours was begun, and it is worth beginning again */
  async #put(signed: SignedRevocations, attempt: number): Promise<boolean> {
    const { members, request, log } = this.#options
    try {
      await request('revocations.put', { list: signed.list, chain: [...signed.chain] })
    } catch (error) {
      const isStale = error instanceof MeshError && error.code === 'revocation_list_stale'
      if (isStale && attempt < revocationAttemptsMax) return false
      throw error
    }
    const outcome = members.revocations.apply(signed)
    log.info({ number: signed.list.number, outcome: outcome.kind }, 'revocations_issued')
    return true
  }

  #assertMayRevoke(): void {
    const [certificate] = this.#options.issuer().chain
    if (certificate === undefined || (certificate.kind === 'member' && certificate.role === 'admin')) return
    throw new MeshError('not_admin', { detail: 'only an admin of the mesh can revoke' })
  }

  /** An id is taken as it is: somebody whom the broker does not list can be revoked as well. */
  async #resolve(member: string): Promise<{ memberId: string; name: string | null }> {
    const { members, refreshDirectory } = this.#options
    const address = parseAddress(member)
    if (address?.kind === 'member_id') {
      return { memberId: address.memberId, name: members.findById(address.memberId)?.name ?? null }
    }
    if (address?.kind !== 'member_name') throw new MeshError('invalid_destination', { data: { field: 'member' } })
    const { name } = address
    if (members.findByName(name).length === 0) await refreshDirectory()
    const found = members.findByName(name)
    const [first] = found
    if (first === undefined) {
      throw new MeshError('recipient_unknown', { data: { field: 'member', near: members.nearNames(name) } })
    }
    if (found.length > 1) {
      const candidates = found.map(({ memberId }) => memberId)
      throw new MeshError('recipient_ambiguous', {
        hint: 'Name the one you mean by its member id.',
        data: { field: 'member', candidates },
      })
    }
    return { memberId: first.memberId, name: first.name }
  }
}
