/** The JSON that a hook reads from its standard input: bounded, and without what is redacted. */
import { documentBytesMax } from './limits.ts'
import type { Redact } from './redaction.ts'

/** What a hook is told of. */
export interface HookInput {
  readonly hook: string
  /** Type of the event. */
  readonly event: string
  /** Null where no stored event stands behind it. */
  readonly event_id: string | null
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly mesh: string
  readonly data: Readonly<Record<string, unknown>> | null
}

export interface HookDocument {
  readonly json: string
  /** Something is missing: of what is too large, or all that could not be searched for what is redacted. */
  readonly truncated: boolean
}

/** Texts are cut to these lengths, one after the other, until all of it fits. */
const textLengths = [131_072, 65_536, 16_384, 4_096, 1_024, 256, 64]

export function writeDocument(input: HookInput, redact: Redact): HookDocument {
  const document = structuredClone(input) as HookInput & Record<string, unknown>
  try {
    redact(document)
  } catch {
    // What cannot be searched is not shown: a redaction that fails must hide too much, never too little.
    return finished({ ...input, data: null }, true)
  }
  const whole = finished(document, false)
  if (Buffer.byteLength(whole.json) <= documentBytesMax) return whole
  for (const length of textLengths) {
    const cut = finished(cutTexts(document, length) as HookInput, true)
    if (Buffer.byteLength(cut.json) <= documentBytesMax) return cut
  }
  return finished({ ...input, data: null }, true)
}

function finished(input: HookInput, truncated: boolean): HookDocument {
  return { json: JSON.stringify({ ...input, _truncated: truncated }), truncated }
}

function cutTexts(value: unknown, length: number): unknown {
  if (typeof value === 'string') return value.length <= length ? value : value.slice(0, length).toWellFormed()
  if (Array.isArray(value)) return value.map((item) => cutTexts(item, length))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, cutTexts(member, length)]))
}
