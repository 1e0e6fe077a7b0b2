/**
 * Whether this home is still on the host that it belongs to (05 §3). Two hosts with one identity would displace each
 * other at the broker and divide the messages between them, so a copy is noticed before it connects.
 */
import { acceptHost, type HostBasis, readAcceptedHost, readHostFingerprint } from '@claudemesh/identity'
import { MeshError } from '@claudemesh/protocol'

export type ClonePolicy = 'refuse' | 'warn' | 'allow'

export interface CheckedHost {
  /** SHA-256 in hex. */
  readonly fingerprint: string
  readonly basis: HostBasis
  /** False: the home was accepted on another host, and the policy lets it run here. */
  readonly isAccepted: boolean
  /** Why a copy of this home would go unnoticed, or null. */
  readonly warning: string | null
}

/**
 * Compares this host with the one that the home was accepted on. The first host is accepted.
 *
 * @param o.read how this host is known; default: as the identity package does
 * @throws MeshError `host_changed` under the policy `refuse`; `unsafe_permissions`, `config_invalid`
 */
export function checkHost(o: {
  readonly path: string
  readonly policy: ClonePolicy
  readonly read?: typeof readHostFingerprint
}): CheckedHost {
  const { path, policy, read = readHostFingerprint } = o
  const accepted = readAcceptedHost(path)
  const host = read({ persisted: path })
  if (accepted === null) acceptHost(path, host)
  const isAccepted = accepted === null || accepted.fingerprint === host.fingerprint
  if (!isAccepted && policy === 'refuse') {
    throw new MeshError('host_changed', {
      detail: `the identity in this home was accepted on another host (this one is ${host.fingerprint.slice(0, 16)}…, by its ${host.basis})`,
    })
  }
  return { fingerprint: host.fingerprint, basis: host.basis, isAccepted, warning: host.warning }
}
