/** Meshes and members as keys and certificates alone: what a daemon would hold, for tests that speak to a broker. */
import {
  acceptInvite,
  createInvite,
  decodeInviteToken,
  foundMesh,
  generateMemberKeys,
  generateSigningKeyPair,
  type MemberKeys,
  mergeRevocations,
  type RevocationChanges,
  rotateMember,
  type SigningKeyPair,
  signRevocationList,
} from '@claudemesh/identity'
import { type Certificate, createIdSource, type MeshRecord, type RevocationList, type Role } from '@claudemesh/protocol'

const nextId = createIdSource(() => Date.now())

/** What a member proves itself with. */
export interface MemberIdentity {
  readonly mesh: MeshRecord
  readonly memberId: string
  readonly name: string
  readonly keys: MemberKeys
  readonly chain: readonly Certificate[]
}

export interface InviteTerms {
  readonly inviteId?: string
  /** The founder unless it is told. */
  readonly issuer?: MemberIdentity
  readonly role?: Role
  readonly uses?: number
  readonly notBefore?: number
  readonly notAfter?: number
}

const dayMs = 86_400_000

/** A mesh whose first member is its admin; others join by invites of that member. */
export class RawMesh {
  readonly mesh: MeshRecord
  readonly root: SigningKeyPair
  readonly founder: MemberIdentity

  constructor(options: { readonly meshId?: string } = {}) {
    const keys = generateMemberKeys()
    const root = generateSigningKeyPair()
    const meshId = options.meshId ?? nextId()
    const { mesh, chain } = foundMesh({
      slug: 'test',
      name: 'founder',
      meshId,
      now: Date.now() - 3_600_000,
      keys,
      root,
    })
    this.mesh = mesh
    this.root = root
    this.founder = { mesh, memberId: keys.signing.publicKey, name: 'founder', keys, chain }
  }

  /** The token of a new invite. */
  invite(terms: InviteTerms = {}): string {
    const { inviteId = nextId(), issuer = this.founder } = terms
    return createInvite({
      mesh: this.mesh,
      brokerUrl: 'ws://127.0.0.1:1',
      issuer: { signing: issuer.keys.signing, chain: issuer.chain },
      inviteId,
      role: terms.role ?? 'member',
      uses: terms.uses ?? 1,
      notBefore: terms.notBefore ?? Date.now() - 1_000,
      notAfter: terms.notAfter ?? Date.now() + dayMs,
    }).token
  }

  /** Somebody new, by an invite of its own unless told which. */
  join(name: string, token: string = this.invite(), now: number = Date.now()): MemberIdentity {
    const keys = generateMemberKeys()
    const chain = acceptInvite({ invite: decodeInviteToken(token), name, keys, now })
    return { mesh: this.mesh, memberId: keys.signing.publicKey, name, keys, chain }
  }

  /** The same member with the keys of its next epoch. */
  rotate(identity: MemberIdentity, now: number = Date.now()): MemberIdentity {
    const newKeys = generateMemberKeys()
    const chain = rotateMember({ chain: identity.chain, keys: identity.keys, newKeys, now })
    return { ...identity, keys: newKeys, chain }
  }

  /** The next revocation list, signed by the founder unless another issuer (null: the root key) is told. */
  revoke(
    changes: RevocationChanges,
    terms: { readonly previous?: RevocationList; readonly issuer?: MemberIdentity | null; readonly now?: number } = {},
  ): { readonly list: RevocationList; readonly chain: Certificate[] } {
    const { previous = null, issuer = this.founder, now = Date.now() } = terms
    const chain = [...(issuer?.chain ?? [])]
    const list = signRevocationList({
      mesh: this.mesh,
      list: mergeRevocations({ meshId: this.mesh.mesh_id, previous, changes, now }),
      issuer: { signing: issuer?.keys.signing ?? this.root, chain },
    })
    return { list, chain }
  }
}
