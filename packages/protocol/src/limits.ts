/** Bounds that both ends of a wire rely on. Bounds of one process alone are in that process's own limits. */

/** Items in one frame, and in one batch request. */
export const itemsPerFrameMax = 256
/** Bytes of one frame, as UTF-8 text. */
export const frameBytesMax = 1024 * 1024
/** Bytes of a message body that travels inline, unless the broker negotiates another number. */
export const inlineBytesDefault = 64 * 1024
/** Bytes that a sealed message may have beyond its body: meta, header and the wrapped keys of 512 recipients. */
export const sealedOverheadBytesMax = 96 * 1024
/** Bytes of the canonical form of meta. */
export const metaBytesMax = 16 * 1024
/** Nesting of meta. */
export const metaDepthMax = 16
/** Recipients of one message. */
export const recipientsMax = 512
/** Members mentioned in one message. */
export const mentionsMax = 64
/** The last millisecond that a calendar can show, since the epoch: times beyond it are refused. */
export const timeMax = 8_640_000_000_000_000
/** Certificates of a chain by which somebody was let in: founding ones and invites. */
export const chainStepsMax = 8
/** Rotations in a chain, of the member itself and of those who let it in. */
export const chainRotationsMax = 200
/** Rotations of an admin in its chain with which it may still invite, so that whoever joins has 120 before it: a month each, ten years. */
export const inviterRotationsMax = 80
/** Certificates from a member up to the root key. */
export const chainLengthMax = chainStepsMax + chainRotationsMax
/** Members, and likewise invites, on one revocation list: the whole list travels in one frame. */
export const revocationsMax = 2048
/** The same on a list that an admin signs. The rest is the root key's: no admin can fill the list before its own turn. */
export const revocationsByAdminMax = revocationsMax - 64
/** Length of the reason that a revocation may give to people. */
export const revocationReasonCharactersMax = 64
/** How long a hello may answer a challenge. */
export const nonceLifeMs = 30_000
/** WebSocket keep-alive: a ping this often, and a peer silent for `silenceMsMax` is gone. */
export const pingIntervalMs = 20_000
export const silenceMsMax = 45_000
/** Messages that one call takes from a work queue. */
export const queueTakeMax = 32
/** How long a taken message stays with its consumer before others may have it. */
export const queueLeaseMsMin = 1_000
export const queueLeaseMsMax = 12 * 3_600_000
/** For how long the lease of a space is granted. */
export const spaceTermMsMin = 1_000
export const spaceTermMsMax = 60_000
/** How long a call waits for a message to take. */
export const queueWaitMsMax = 30_000
/** How long a message that was returned may be held back. */
export const queueDelayMsMax = 7 * 86_400_000
/** How often a message of a work queue is given out before it is dead: what a queue begins with, and the bound. */
export const queueDeliveriesDefault = 20
export const queueDeliveriesMax = 1_000
/** Length of the reason with which a consumer returns a message. */
export const queueReasonCharactersMax = 64
