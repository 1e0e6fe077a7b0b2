/**
 * What the daemon says and judges before a connection is open: the signed hello (05 §2) and the feature negotiation
 * (02 §8). Nothing here touches the socket.
 */
import { type MemberKeys, signHello } from '@claudemesh/identity'
import {
  type Certificate,
  type ConnectionOptions,
  type Frame,
  featureBits,
  findUncarriable,
  type JsonObject,
  type MeshRecord,
  type NegotiationOutcome,
  negotiate,
} from '@claudemesh/protocol'

/** Who this host is to the broker. */
export interface LinkIdentity {
  readonly mesh: MeshRecord
  readonly memberId: string
  readonly chain: readonly Certificate[]
  readonly keys: MemberKeys
  /** SHA-256 in hex, null when it is not known. */
  readonly hostFingerprint: string | null
}

export function writeHello(input: {
  readonly identity: LinkIdentity
  /** Of the address that was dialled. */
  readonly origin: string
  readonly nonce: string
  readonly options: ConnectionOptions
  readonly daemonVersion: string
}): Frame<'hello'> {
  const { identity, origin, nonce, options, daemonVersion } = input
  const { mesh, memberId, chain, keys, hostFingerprint } = identity
  return {
    type: 'hello',
    mesh,
    member_id: memberId,
    chain: [...chain],
    daemon_version: daemonVersion,
    host_fingerprint: hostFingerprint,
    origin,
    options,
    signature: signHello({ origin, meshId: mesh.mesh_id, memberId, nonce, options, keys: keys.signing }),
  }
}

/** Asks for what is required, and for every other bit this version knows. */
export function writeNegotiation(required: readonly string[]): Frame<'feature_negotiation_request'> {
  const optional = featureBits.filter((bit) => !required.includes(bit))
  return { type: 'feature_negotiation_request', require: [...required], optional }
}

/** Nesting of the parameters of features: none has any. */
const paramsDepthMax = 8

/** @returns null when the answer is no answer at all: nested beyond all sense, or with texts that cannot be carried */
export function judgeNegotiation(
  required: readonly string[],
  response: Frame<'feature_negotiation_response'>,
): NegotiationOutcome | null {
  if (findUncarriable(response.supported as JsonObject, paramsDepthMax) !== null) return null
  const missing = required.find((bit) => response.missing_required.includes(bit))
  if (missing !== undefined) {
    const detail = 'the broker says that it lacks this feature'
    return { ok: false, refusal: { kind: 'feature_unavailable', feature: missing, detail } }
  }
  return negotiate(required, response.supported)
}
