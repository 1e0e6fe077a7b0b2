/** Merge patches (RFC 7396), and several of them as one. */
import type { JsonObject, JsonValue } from '@claudemesh/protocol'

/** Two merge patches, of which the first removes what the second replaces. No single one could say that. */
export interface ComposedPatch {
  readonly clear?: JsonObject | null
  readonly patch: JsonValue
}

/** What a merge patch makes of a value. */
export function mergePatch(target: JsonValue, patch: JsonValue): JsonValue {
  if (!isObject(patch)) return patch
  const merged = new Map<string, JsonValue>(isObject(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else merged.set(name, mergePatch(merged.get(name) ?? null, value))
  }
  return Object.fromEntries(merged)
}

/** What comes of all patches that were composed. */
export function applyComposed(target: JsonValue, { clear, patch }: ComposedPatch): JsonValue {
  return mergePatch(clear === undefined ? target : mergePatch(target, clear), patch)
}

/**
 * The patches so far and one after them, so that applying the outcome to any value gives what applying each in turn gives.
 *
 * Wherever `clear` goes into an object, `patch` does too: what `clear` makes of a value that is no object does not show.
 */
export function composePatch(first: ComposedPatch | null, next: JsonValue): ComposedPatch {
  if (first === null || !isObject(next)) return { patch: next }
  // What was there is a scalar, a list or nothing, and none of these has members: the object begins empty.
  if (!isObject(first.patch)) return { clear: null, patch: next }
  if (first.clear === null) return { clear: null, patch: mergePatch(first.patch, next) }
  const clear = new Map<string, JsonValue>(Object.entries(first.clear ?? {}))
  const patch = new Map<string, JsonValue>(Object.entries(first.patch))
  for (const [name, value] of Object.entries(next)) {
    const present = patch.get(name)
    const cleared = clear.get(name) as JsonObject | null | undefined
    const composed = composePatch(present === undefined ? null : toComposed(present, cleared), value)
    patch.set(name, composed.patch)
    if (composed.clear === undefined) clear.delete(name)
    else clear.set(name, composed.clear)
  }
  return { ...(clear.size === 0 ? {} : { clear: Object.fromEntries(clear) }), patch: Object.fromEntries(patch) }
}

/** As it is kept: without a member that says nothing. */
export function toComposed(patch: JsonValue, clear: JsonObject | null | undefined): ComposedPatch {
  return clear === undefined ? { patch } : { clear, patch }
}

function isObject(value: JsonValue): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
