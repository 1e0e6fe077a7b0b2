import {
  acceptInvite,
  createInvite,
  decodeInviteToken,
  foundMesh,
  generateMemberKeys,
  generateSigningKeyPair,
  type MemberKeys,
} from '@claudemesh/identity'
import type { Certificate, MemberRecord, MeshRecord } from '@claudemesh/protocol'

/** A member with everything that it and others have of it. */
export interface TestMember {
  readonly memberId: string
  readonly name: string
  readonly keys: MemberKeys
  readonly chain: readonly Certificate[]
}

/** A mesh of real keys and certificates, without a broker. */
export class TestMembership {
  readonly mesh: MeshRecord
  readonly founder: TestMember
  readonly #now: number
  #invites = 0

  constructor(o: { readonly now: number }) {
    this.#now = o.now
    const keys = generateMemberKeys()
    const root = generateSigningKeyPair()
    const meshId = '01HZ000000000000000000MESH'
    const { mesh, chain } = foundMesh({ slug: 'home', name: 'founder', meshId, now: o.now, keys, root })
    this.mesh = mesh
    this.founder = { memberId: keys.signing.publicKey, name: 'founder', keys, chain }
  }

  /** A new member, admitted by an invite of the founder. */
  join(name: string): TestMember {
    const keys = generateMemberKeys()
    this.#invites += 1
    const { token } = createInvite({
      mesh: this.mesh,
      brokerUrl: 'ws://127.0.0.1:1/v1/ws',
      issuer: { signing: this.founder.keys.signing, chain: this.founder.chain },
      inviteId: `01HZ${String(this.#invites).padStart(22, '0')}`,
      role: 'member',
      uses: 1,
      notBefore: this.#now,
      notAfter: this.#now + 3_600_000,
    })
    const chain = acceptInvite({ invite: decodeInviteToken(token), name, keys, now: this.#now })
    return { memberId: keys.signing.publicKey, name, keys, chain }
  }
}

/** A member as a broker lists it. */
export function recordOf(member: TestMember, differing: Partial<MemberRecord> = {}): MemberRecord {
  return {
    member_id: member.memberId,
    chain: [...member.chain],
    status: 'active',
    online: false,
    last_seen_at: null,
    summary: null,
    activity: null,
    ...differing,
  }
}
