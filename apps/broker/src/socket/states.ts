/**
 * The life of one connection.
 *
 *     challenged --hello--> authenticating --admitted--> welcomed --agreed--> open
 *          |                      |                          |                  |
 *          +----------------------+--------------------------+------------------+--> closing
 *
 * | state          | what holds in it                                                                       |
 * |----------------|----------------------------------------------------------------------------------------|
 * | challenged     | it has been sent a nonce; nothing is known of the peer                                 |
 * | authenticating | its hello is being judged; nothing it says is taken                                    |
 * | welcomed       | it is a member's; features are not agreed, so nothing is sent to or taken from it      |
 * | open           | it sends and is delivered to; others see its member as there                           |
 * | closing        | a close is on its way; nothing it says is taken                                        |
 */
import type { DaemonFrame } from '@claudemesh/protocol'

export type ConnectionState = 'challenged' | 'authenticating' | 'welcomed' | 'open' | 'closing'

/** Every move that there is; any other one is a mistake of ours. */
export const moves: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  challenged: ['authenticating', 'closing'],
  authenticating: ['welcomed', 'closing'],
  welcomed: ['open', 'closing'],
  open: ['closing'],
  closing: [],
}

/** The frames that are taken in each state. Any other one is answered `invalid_frame`. */
export const framesTaken: Readonly<Record<ConnectionState, readonly DaemonFrame['type'][]>> = {
  challenged: ['hello'],
  authenticating: [],
  welcomed: ['feature_negotiation_request'],
  open: ['send', 'deliver_ack', 'request'],
  closing: [],
}

/** @throws Error when there is no such move */
export function assertMove(from: ConnectionState, to: ConnectionState): void {
  if (!moves[from].includes(to)) throw new Error(`a connection does not go from ${from} to ${to}`)
}
