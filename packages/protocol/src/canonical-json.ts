import canonicalize from 'canonicalize'

/** A value that JSON can carry. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** Whether a text is well-formed Unicode without U+0000, which no digest of ours and no database of ours takes. */
export function isCarriableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000')
}

/**
 * Looks for what cannot be carried in a parsed JSON value: texts that are not carriable, and nesting deeper than
 * `depthMax` containers. Iterative, so that hostile depth cannot exhaust the stack.
 *
 * @returns a sentence that names the fault, or null when there is none
 */
export function findUncarriable(value: JsonValue, depthMax: number): string | null {
  let level: { path: string; value: JsonValue }[] = [{ path: '$', value }]
  for (let depth = 0; level.length > 0; depth += 1) {
    const next: typeof level = []
    for (const item of level) {
      if (typeof item.value === 'string' && !isCarriableText(item.value)) {
        return `${item.path} contains U+0000 or a lone surrogate`
      }
      if (item.value === null || typeof item.value !== 'object') continue
      if (depth >= depthMax) return `${item.path} nests deeper than ${depthMax} levels`
      for (const [key, child] of Object.entries(item.value)) {
        if (!isCarriableText(key)) return `a key in ${item.path} contains U+0000 or a lone surrogate`
        next.push({ path: `${item.path}.${key}`, value: child as JsonValue })
      }
    }
    level = next
  }
  return null
}

/** Deep enough for any sensible document, shallow enough that recursive serialisers cannot fail on it. */
const canonicalDepthMax = 256

/**
 * The canonical form of a JSON value by RFC 8785.
 *
 * As with `JSON.stringify`, members that are undefined are left out and `toJSON` is honoured.
 *
 * @throws TypeError when the value holds something that has no canonical form: NaN, an infinity, a lone surrogate,
 *   U+0000, or more than 256 nested containers
 */
export function canonicalJson(value: JsonValue): string {
  const fault = findUncarriable(value, canonicalDepthMax)
  if (fault !== null) throw new TypeError(fault)
  let text: string | undefined
  try {
    text = canonicalize(value)
  } catch (cause) {
    throw new TypeError('the value has no canonical JSON form', { cause })
  }
  if (text === undefined) throw new TypeError('the value has no canonical JSON form')
  return text
}

/**
 * Whether a text is the canonical form of the value that it was parsed to. It never says so wrongly; of texts with escapes, of
 * keys that are whole numbers and of what nests deeper than `depthMax` containers it may deny it, and `canonicalJson` knows.
 *
 * RFC 8785 writes values as ECMAScript does, and orders keys: what reads back as the same text with its keys in order is
 * canonical. That costs a fraction of making the text anew.
 */
export function isCanonicalText(text: string, value: JsonValue, depthMax: number): boolean {
  // U+0000 and lone surrogates can only be in a text as escapes of this form.
  return !text.includes('\\u') && hasOrderedKeys(value, depthMax) && JSON.stringify(value) === text
}

function hasOrderedKeys(value: JsonValue, depthLeft: number): boolean {
  if (value === null || typeof value !== 'object') return true
  if (depthLeft === 0) return false
  if (Array.isArray(value)) return value.every((item) => hasOrderedKeys(item, depthLeft - 1))
  let last: string | null = null
  for (const key of Object.keys(value)) {
    if (last !== null && key <= last) return false
    last = key
    if (!hasOrderedKeys((value as JsonObject)[key] ?? null, depthLeft - 1)) return false
  }
  return true
}
