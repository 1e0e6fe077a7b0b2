import type { NegotiationRefusal } from '@claudemesh/protocol'

/** Bytes that a WebSocket close frame has for its reason. */
const reasonBytesMax = 123

/** The JSON reason of a close (02 §8), its detail shortened to what fits. */
export function writeCloseReason(refusal: NegotiationRefusal): string {
  const characters = [...refusal.detail]
  for (;;) {
    const reason = JSON.stringify({ ...refusal, detail: characters.join('') })
    if (Buffer.byteLength(reason) <= reasonBytesMax) return reason
    // A name that alone is too long was never one of ours: the code of the close says enough then.
    if (characters.length === 0) return JSON.stringify({ kind: refusal.kind })
    characters.pop()
  }
}

/** The stable name in a JSON reason; null when the reason has none. */
export function readCloseKind(reason: string): string | null {
  try {
    const parts: unknown = JSON.parse(reason)
    const kind: unknown = parts !== null && typeof parts === 'object' && 'kind' in parts ? parts.kind : null
    return typeof kind === 'string' && /^[a-z_]{1,64}$/.test(kind) ? kind : null
  } catch {
    // Not JSON: the text is for people alone.
    return null
  }
}

/** What a close reason says to a person: the parts of a JSON reason, or the text as it is. */
export function readCloseReason(reason: string): string {
  if (!reason.startsWith('{')) return reason
  try {
    const parts: unknown = JSON.parse(reason)
    if (parts === null || typeof parts !== 'object') return reason
    const { kind, feature, detail } = parts as Record<string, unknown>
    const texts = [kind, feature, detail].filter((text) => typeof text === 'string' && text !== '')
    return texts.length === 0 ? reason : texts.join(': ')
  } catch {
    // Not JSON after all: the text is the reason.
    return reason
  }
}
