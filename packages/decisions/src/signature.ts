/**
 * Decisions that their actor has signed (07 §7).
 *
 * 1. What is signed is what the actor said, and where: space, intent, kind, actor, payload. Number and time are given by the
 *    log, after the signature; where two logs were united, it still holds, since it is of where the event stood first.
 * 2. A member's key counts in its time: from its certificate to the rotation after it, by the time of the event.
 *
 * It does not know of revocations: whoever judges asks for the chains that it still believes.
 */
import { clockToleranceMs, type SigningKeyPair, sign, verifyChain, verifySignature } from '@claudemesh/identity'
import { type Certificate, canonicalJson, type JsonValue } from '@claudemesh/protocol'
import { copyDraft, type DecisionDraft, type DecisionEvent } from './event.ts'

/** `unknown_actor`: no chain that holds says whose the actor's keys are. `invalid`: none of them, in its time, signed this. */
export type DecisionVerdict = 'verified' | 'unsigned' | 'unknown_actor' | 'invalid'

export interface ActorLookUp {
  readonly mesh: { readonly mesh_id: string; readonly root_key: string }
  /** The chain of a member by its id, its newest certificate first; null when there is none. */
  readonly chainOf: (memberId: string) => readonly Certificate[] | null
}

/**
 * A draft with the signature of its actor.
 *
 * @param o the space and the intent that it will be appended with, and the actor's own keys
 * @throws MeshError what `encodeEvent` throws
 */
export function signDraft<Draft extends DecisionDraft>(
  draft: Draft,
  o: { readonly space: string; readonly intentId: string; readonly pair: SigningKeyPair },
): Draft {
  const { space, intentId, pair } = o
  // What cannot be decided cannot be signed either, and says so in the same words.
  copyDraft(draft)
  return { ...draft, sig: sign(pair, signedBytes(draft, { space, intentId })).toString('base64url') }
}

/** Judges the signature of an event by the chain of its actor. */
export function judgeSignature(event: DecisionEvent, { mesh, chainOf }: ActorLookUp): DecisionVerdict {
  if (event.sig === undefined) return 'unsigned'
  const chain = chainOf(event.actor)
  if (chain === null) return 'unknown_actor'
  const space = event.payload.origin?.space ?? event.space
  const bytes = signedBytes(event, { space, intentId: event.intent_id })
  const signature = Buffer.from(event.sig, 'base64url')
  const now = Date.parse(event.ts)
  let believed = false
  for (const [epoch, certificate] of chain.entries()) {
    if (certificate.kind !== 'member' || certificate.member_id !== event.actor) break
    // As it was believed while this was its newest certificate.
    const verdict = verifyChain({ mesh, chain: chain.slice(epoch), now })
    if (!verdict.ok || verdict.member.memberId !== event.actor) continue
    believed = true
    const next = chain[epoch - 1]
    if (next !== undefined && next.not_before + clockToleranceMs < now) continue
    if (verifySignature({ publicKey: certificate.signing_key, bytes, signature })) return 'verified'
  }
  return believed ? 'invalid' : 'unknown_actor'
}

/** No signature over a decision is one over anything else. */
const domain = 'claudemesh decision v1'

function signedBytes(
  { kind, actor, payload }: DecisionDraft,
  { space, intentId }: { readonly space: string; readonly intentId: string },
): Buffer {
  const { origin: _, ...said } = payload
  return Buffer.from(
    `${domain}\n${canonicalJson({ space, intent_id: intentId, kind, actor, payload: said } as JsonValue)}`,
  )
}
