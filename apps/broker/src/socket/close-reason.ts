/** Why a connection is closed, as the peer gets to read it: JSON in at most 123 bytes, which is what a close carries. */
export interface CloseReason {
  /** A stable name. */
  readonly kind: string
  readonly feature?: string
  readonly detail?: string
}

const reasonBytesMax = 123

/** The reason as text; the detail is cut, and at last left out, to make it fit. */
export function formatCloseReason(reason: CloseReason): string {
  const whole = JSON.stringify(reason)
  const excess = Buffer.byteLength(whole) - reasonBytesMax
  if (excess <= 0) return whole
  const { detail = '', ...rest } = reason
  const cut = detail.slice(0, Math.max(0, detail.length - excess))
  if (cut === '' || Buffer.byteLength(JSON.stringify({ ...rest, detail: cut })) > reasonBytesMax) {
    return JSON.stringify({ kind: reason.kind.slice(0, 64) })
  }
  return JSON.stringify({ ...rest, detail: cut })
}
