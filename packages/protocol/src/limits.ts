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
/** Certificates from a member up to the root key. */
export const chainLengthMax = 8
/** Members, and likewise invites, on one revocation list: the whole list travels in one frame. */
export const revocationsMax = 2048
/** Length of the reason that a revocation may give to people. */
export const revocationReasonCharactersMax = 64
/** How long a hello may answer a challenge. */
export const nonceLifeMs = 30_000
/** WebSocket keep-alive: a ping this often, and a peer silent for `silenceMsMax` is gone. */
export const pingIntervalMs = 20_000
export const silenceMsMax = 45_000
