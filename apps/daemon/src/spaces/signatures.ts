/** Signatures of decisions: made with the key of this daemon's member, judged by what it knows of the others (07 §7). */
import type { ActorLookUp } from '@claudemesh/decisions'
import type { SigningKeyPair } from '@claudemesh/identity'
import type { Certificate, DecisionDraft, DecisionEvent } from '@claudemesh/protocol'
import type { RecordedDecision, SignatureVerdict } from '@claudemesh/protocol/spaces'

/** With what this daemon signs, and whose signatures it believes. */
export interface DecisionKeys {
  readonly mesh: ActorLookUp['mesh']
  /** Those in force: a rotation gives others. */
  readonly own: () => SigningKeyPair
  /** Null: nothing here proves whose keys are that member's. */
  readonly actorChain: (
    memberId: string,
  ) => { readonly chain: readonly Certificate[]; readonly isRevoked: boolean } | null
}

/** Signs decisions as this member. @throws MeshError what cannot be decided cannot be signed */
export async function signDrafts(
  drafts: readonly DecisionDraft[],
  o: { readonly space: string; readonly intentId: string; readonly keys: DecisionKeys },
): Promise<readonly DecisionDraft[]> {
  // The library is loaded with the first log.
  const { signDraft } = await import('@claudemesh/decisions')
  const { space, intentId, keys } = o
  return drafts.map((draft) => signDraft(draft, { space, intentId, pair: keys.own() }))
}

/** What says of each event of one answer what its signature is worth now. */
export async function judge(keys: DecisionKeys): Promise<(event: DecisionEvent) => RecordedDecision> {
  const { judgeSignature } = await import('@claudemesh/decisions')
  const actors = new Map<string, ReturnType<DecisionKeys['actorChain']>>()
  const actorOf = (memberId: string) => {
    const actor = actors.get(memberId) ?? keys.actorChain(memberId)
    actors.set(memberId, actor)
    return actor
  }
  const chainOf = (memberId: string) => actorOf(memberId)?.chain ?? null
  const verdictOf = (event: DecisionEvent): SignatureVerdict => {
    if (event.sig !== undefined && actorOf(event.actor)?.isRevoked === true) return 'revoked'
    return judgeSignature(event, { mesh: keys.mesh, chainOf })
  }
  return (event) => ({ ...event, signature: verdictOf(event) })
}
