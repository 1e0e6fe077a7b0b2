/**
 * Trace context as the W3C recommendation has it: which trace a request belongs to (`traceparent`), and what vendors of
 * tracing add for themselves (`tracestate`). It is read here and passed on, never begun: a daemon makes no spans.
 *
 * 1. What is not valid is as if it were not there. A trace is worth no failed send.
 * 2. A `traceparent` of a later version is read as far as this one goes, and passed on as one of this version.
 * 3. A `tracestate` that is not valid leaves the `traceparent` as it is; without a `traceparent` it means nothing.
 */
import type { JsonObject } from './canonical-json.ts'

export interface TraceContext {
  readonly traceparent: string
  readonly tracestate: string | null
}

/** What of `tracestate` everybody passes on. */
const stateCharactersMax = 512
/** What goes first from one that is longer. */
const longEntryCharacters = 128
const stateEntriesMax = 32

const parentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const stateKeyPattern = /^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
/** Printable ASCII without `,` and `=`, which does not end with a space. */
const stateValuePattern = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** @returns null where there is no valid `traceparent` */
export function readTraceContext(traceparent: unknown, tracestate: unknown): TraceContext | null {
  const parent = readParent(traceparent)
  return parent === null ? null : { traceparent: parent, tracestate: readState(tracestate) }
}

/** The id that all of a trace has in common. */
export function traceIdOf({ traceparent }: Pick<TraceContext, 'traceparent'>): string {
  return traceparent.slice(3, 35)
}

/** The reserved members of meta that it travels in, sealed. */
export function traceMembers({ traceparent, tracestate }: TraceContext): JsonObject {
  return { $traceparent: traceparent, ...(tracestate === null ? {} : { $tracestate: tracestate }) }
}

/** What sealed meta says of it: written by whoever sent it, so it is read as strictly as a header. */
export function traceOfMeta(meta: JsonObject | null): TraceContext | null {
  return meta === null ? null : readTraceContext(meta['$traceparent'], meta['$tracestate'])
}

function readParent(header: unknown): string | null {
  if (typeof header !== 'string') return null
  const [, version = '', traceId = '', parentId = '', flags = '', more] = parentPattern.exec(header.trim()) ?? []
  const isKnown = version !== 'ff' && (version !== '00' || more === undefined)
  if (traceId === '' || !isKnown || isZero(traceId) || isZero(parentId)) return null
  // Of the flags of another version only those are known that this one has: sampled, and random.
  const known = version === '00' ? flags : (Number.parseInt(flags, 16) & 0b11).toString(16).padStart(2, '0')
  return `00-${traceId}-${parentId}-${known}`
}

function isZero(hex: string): boolean {
  return /^0+$/.test(hex)
}

function readState(header: unknown): string | null {
  if (typeof header !== 'string') return null
  const entries = header
    .split(',')
    .map((entry) => entry.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((entry) => entry !== '')
  const keys = new Set(entries.map((entry) => entry.slice(0, entry.indexOf('='))))
  if (entries.length > stateEntriesMax || keys.size < entries.length || !entries.every(isStateEntry)) return null
  return shortened(entries)
}

function isStateEntry(entry: string): boolean {
  const equals = entry.indexOf('=')
  return equals > 0 && stateKeyPattern.test(entry.slice(0, equals)) && stateValuePattern.test(entry.slice(equals + 1))
}

/** Whole entries go: the long ones, then those at the end, which are the oldest. */
function shortened(entries: readonly string[]): string | null {
  const isLong = (kept: readonly string[]) => kept.join(',').length > stateCharactersMax
  let kept = isLong(entries) ? entries.filter((entry) => entry.length <= longEntryCharacters) : entries
  while (isLong(kept)) kept = kept.slice(0, -1)
  return kept.length === 0 ? null : kept.join(',')
}
