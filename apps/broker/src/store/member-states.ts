/**
 * The life of a member at the broker.
 *
 *                 +---- hello ----+
 *                 v               |
 *     hello --> active --leave--> left
 *                 |                 |
 *                 +--put a list--+--+
 *                                v
 *                             revoked
 *
 * | state   | what holds in it                                                                                |
 * |---------|-------------------------------------------------------------------------------------------------|
 * | active  | it may connect, subscribe, send and be sent to                                                  |
 * | left    | it went by itself, or was away for longer than its lease: nothing is addressed to it, nothing    |
 * |         | of it is subscribed; what waited for it is reported to the senders as undeliverable, reason left |
 * | revoked | as `left`, reason revoked, and it never comes back                                               |
 *
 * Every statement that changes the state names the one it comes from (departure/statements.ts of each engine). The row
 * stays in all of them: an epoch that was given up does not come back, and an invite knows whom it admitted. Only an
 * ephemeral member that left is forgotten in the end: its keys are gone, so that it has no way back.
 */
export type MemberStatus = 'active' | 'left' | 'revoked'
