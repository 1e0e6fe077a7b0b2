/** Spaces as `/v1/spaces` answers them. */
import type { MeshError } from '@claudemesh/protocol'
import type { SharedSpaceView, SpaceLease, SpaceView } from '@claudemesh/protocol/spaces'
import type { SpaceStatus } from './spaces.ts'

export function toSpaceView({ lease, damage, ...space }: SpaceStatus, shared: SharedSpaceView | null): SpaceView {
  return { ...space, lease: toLeaseView(lease), damage: toFaultView(damage), shared }
}

export function toLeaseView(lease: SpaceStatus['lease']): SpaceLease | null {
  if (lease === null) return null
  const { holder, epoch, granted_at: grantedAt, expires_at: expiresAt } = lease.record
  return {
    ...{ holder, epoch },
    granted_at: Date.parse(grantedAt),
    expires_at: Date.parse(expiresAt),
    is_held: lease.isHeld,
    is_own: lease.isOwn,
  }
}

export function toFaultView(fault: MeshError | null): { readonly code: string; readonly detail: string } | null {
  return fault === null ? null : { code: fault.code, detail: fault.message }
}
