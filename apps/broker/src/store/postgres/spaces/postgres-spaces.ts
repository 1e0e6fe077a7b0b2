import { MeshError } from '@claudemesh/protocol'
import type { Pool } from '@claudemesh/storage/postgres'
import { grantLease, isLeaseOf } from '../../judge-lease.ts'
import type { MemberKey } from '../../rows.ts'
import type { LeaseRequest, SpaceKey, SpaceLease, Spaces } from '../../spaces.ts'
import { findMemberStatus } from '../membership/statements.ts'
import { lockMeshes } from '../statements.ts'
import { findLease, putLease } from './statements.ts'

/** The shared spaces of the engine for a team. Whoever changes a lease, or appends under it, has the lock of the mesh. */
export class PostgresSpaces implements Spaces {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  find(key: SpaceKey): Promise<SpaceLease> {
    return this.#pool.read((session) => findLease(session, key))
  }

  acquire({ meshId, memberId }: MemberKey, request: LeaseRequest) {
    const key = { meshId, space: request.space }
    return this.#pool.write(async (session) => {
      await lockMeshes(session, [meshId])
      const status = await findMemberStatus(session, { meshId, memberId })
      if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
      const last = await findLease(session, key)
      const lease = grantLease(last, memberId, request)
      if (lease === null) return { granted: false, lease: last }
      await putLease(session, key, lease)
      return { granted: true, lease }
    })
  }

  renew({ meshId, memberId }: MemberKey, o: { space: string; epoch: number; termMs: number; now: number }) {
    return this.#changeOwn({ meshId, space: o.space }, { memberId, epoch: o.epoch }, { expiresAt: o.now + o.termMs })
  }

  async release({ meshId, memberId }: MemberKey, { space, epoch }: { space: string; epoch: number }): Promise<void> {
    await this.#changeOwn({ meshId, space }, { memberId, epoch }, { holder: null })
  }

  #changeOwn(
    key: SpaceKey,
    claimed: { readonly memberId: string; readonly epoch: number },
    change: Partial<SpaceLease>,
  ): Promise<SpaceLease | null> {
    return this.#pool.write(async (session) => {
      await lockMeshes(session, [key.meshId])
      const last = await findLease(session, key)
      if (!isLeaseOf(last, claimed.memberId, claimed.epoch)) return null
      const lease = { ...last, ...change }
      await putLease(session, key, lease)
      return lease
    })
  }
}
