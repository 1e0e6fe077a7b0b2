/**
 * The life of a share (06 §17). Each state is what the log proves of it:
 *
 *     sent       created > uploaded > sent        the sender's: wanted; all ciphertext is at the relay; the message is kept
 *     received   received > fetched               the recipient's: told of; its bytes are here and checked
 *     either     > revoked                        nothing more is done for it here
 *
 * A move that was made before is no move: every step may be tried again after a crash. Any other one throws.
 */
import { ArtifactError } from '../artifact-error.ts'

export type ShareDirection = 'sent' | 'received'
export type ShareStatus = 'created' | 'uploaded' | 'sent' | 'received' | 'fetched' | 'revoked'

interface Move {
  /** Null: of either. */
  readonly direction: ShareDirection | null
  /** The states that it may be made in; none: it makes the share. */
  readonly from: readonly ShareStatus[]
  readonly to: ShareStatus
}

/** By the event that records it. */
export const shareMoves = {
  'v1.share.created': { direction: 'sent', from: [], to: 'created' },
  'v1.share.uploaded': { direction: 'sent', from: ['created'], to: 'uploaded' },
  'v1.share.sent': { direction: 'sent', from: ['uploaded'], to: 'sent' },
  'v1.share.received': { direction: 'received', from: [], to: 'received' },
  'v1.share.fetched': { direction: 'received', from: ['received'], to: 'fetched' },
  'v1.share.revoked': { direction: null, from: ['created', 'uploaded', 'sent', 'received'], to: 'revoked' },
} as const satisfies Readonly<Record<string, Move>>

export type ShareEvent = keyof typeof shareMoves

/** Further states in which a step is behind the share already. */
const behind: { readonly [status in ShareStatus]?: readonly ShareStatus[] } = { uploaded: ['sent'] }

/**
 * Whether a share is still to make a move.
 *
 * @returns false: it was made before
 * @throws ArtifactError `share_expired`: it was revoked; `invalid_request`: it is fetched, and cannot be revoked any more
 */
export function isMoveDue(
  event: ShareEvent,
  share: { readonly direction: ShareDirection; readonly status: ShareStatus },
): boolean {
  const { direction, from, to }: Move = shareMoves[event]
  const isOwn = direction === null || direction === share.direction
  if (isOwn && from.includes(share.status)) return true
  if (isOwn && (share.status === to || behind[to]?.includes(share.status) === true)) return false
  if (share.status === 'revoked') throw new ArtifactError('share_expired', { detail: 'The share was revoked.' })
  if (share.status === 'fetched' && to === 'revoked') {
    throw new ArtifactError('invalid_request', {
      detail: 'The share is fetched; what it brought is kept as its package.',
    })
  }
  throw new Error(`a share that is ${share.direction} and ${share.status} cannot make the move ${event}`)
}
