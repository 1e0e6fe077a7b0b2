import { MeshError } from '@claudemesh/protocol'
import { grantLease, isLeaseOf } from '../../judge-lease.ts'
import type { MemberKey } from '../../rows.ts'
import type { LeaseRequest, SpaceKey, SpaceLease, Spaces } from '../../spaces.ts'
import type { DirectoryStatements } from '../membership/statements.ts'
import type { Writer } from '../writer.ts'
import type { SpaceStatements } from './statements.ts'

interface Statements {
  readonly spaces: SpaceStatements
  readonly directory: DirectoryStatements
}

/** The shared spaces of the embedded engine: one writer, so that a lease cannot change between a look and what follows. */
export class SqliteSpaces implements Spaces {
  readonly #statements: Statements
  readonly #writer: Writer
  readonly #read: <T>(run: () => T) => T

  /** @param read runs what only reads */
  constructor(statements: Statements, writer: Writer, read: <T>(run: () => T) => T) {
    this.#statements = statements
    this.#writer = writer
    this.#read = read
  }

  async find(key: SpaceKey): Promise<SpaceLease> {
    return this.#read(() => this.#statements.spaces.find(key))
  }

  acquire({ meshId, memberId }: MemberKey, request: LeaseRequest) {
    const { spaces, directory } = this.#statements
    const key = { meshId, space: request.space }
    return this.#writer.write(() => {
      const status = directory.memberStatus({ meshId, memberId })
      if (status !== 'active') throw new MeshError(status === 'revoked' ? 'member_revoked' : 'unauthenticated')
      const last = spaces.find(key)
      const lease = grantLease(last, memberId, request)
      if (lease === null) return { granted: false, lease: last }
      spaces.put(key, lease)
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
    const { spaces } = this.#statements
    return this.#writer.write(() => {
      const last = spaces.find(key)
      if (!isLeaseOf(last, claimed.memberId, claimed.epoch)) return null
      const lease = { ...last, ...change }
      spaces.put(key, lease)
      return lease
    })
  }
}
