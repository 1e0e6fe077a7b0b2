/**
 * The values that have one written form (06 §3). Every manifest and every payload of an event is one, so that a digest
 * of it means the same on every host, in every language, for ever.
 */
import { ArtifactError } from '../artifact-error.ts'

/**
 * null, booleans, integers whose sign and neighbours a double can tell, texts without U+0000 or lone surrogates, arrays,
 * and maps with texts as keys. A map's keys mean nothing but themselves: `__proto__` is one like any other.
 */
export type CanonicalValue = null | boolean | number | string | readonly CanonicalValue[] | CanonicalMap
export interface CanonicalMap {
  readonly [key: string]: CanonicalValue
}

/** How large a value may be. */
export interface CanonicalLimits {
  /** Bytes of its written form. */
  readonly maxBytes: number
}

/** What a payload may have; manifests have a bound of their own. */
export const payloadBytesMax = 1024 * 1024
export const manifestBytesMax = 64 * 1024 * 1024

/** Containers within containers. */
export const nestingMax = 32
/** Values in all, keys among them. */
export const itemsMax = 4_000_000

/** A container that is being looked through, and how far. */
interface Visit {
  readonly container: object
  readonly path: string
  /** Null: it is an array. */
  readonly keys: readonly string[] | null
  readonly length: number
  next: number
}

/**
 * Checks that a value is canonical. Iterative: neither depth nor a cycle can exhaust the stack, and a value that repeats
 * itself below itself is bounded by the number of items.
 *
 * @throws ArtifactError `not_canonical` with the path of the first fault
 */
export function assertCanonical(value: unknown): asserts value is CanonicalValue {
  const stack: Visit[] = []
  let items = 0
  const enter = (item: unknown, path: string) => {
    items += 1
    if (items > itemsMax) throw notCanonical(path, `has more than ${itemsMax} values`)
    const visit = look(item, path)
    if (visit === null) return
    if (stack.length >= nestingMax) throw notCanonical(path, `nests deeper than ${nestingMax} containers`)
    if (stack.some(({ container }) => container === visit.container)) throw notCanonical(path, 'contains itself')
    items += visit.keys?.length ?? 0
    stack.push(visit)
  }
  enter(value, '$')
  for (let visit = stack.at(-1); visit !== undefined; visit = stack.at(-1)) {
    if (visit.next === visit.length) {
      stack.pop()
      continue
    }
    const index = visit.next
    visit.next += 1
    if (visit.keys === null) enter((visit.container as readonly unknown[])[index], `${visit.path}[${index}]`)
    else {
      const key = visit.keys[index] as string
      enter((visit.container as Readonly<Record<string, unknown>>)[key], `${visit.path}${keyPath(key)}`)
    }
  }
}

/** Looks at one value. @returns what to look through next, or null for a scalar */
function look(item: unknown, path: string): Visit | null {
  switch (typeof item) {
    case 'boolean':
      return null
    case 'number':
      if (!Number.isSafeInteger(item)) throw notCanonical(path, 'is a number that is no integer within 2^53 - 1')
      if (Object.is(item, -0)) throw notCanonical(path, 'is the negative zero')
      return null
    case 'string':
      assertText(item, path)
      return null
    case 'object':
      if (item === null) return null
      return Array.isArray(item) ? visitArray(item, path) : visitMap(item, path)
    default:
      throw notCanonical(path, `is of type ${typeof item}, which has no canonical form`)
  }
}

function visitArray(item: readonly unknown[], path: string): Visit {
  const { length } = item
  // Own names of a plain array: its indices and `length`. Fewer: it has holes; more: it carries what would be lost.
  const names = Object.getOwnPropertyNames(item).length
  if (Object.getPrototypeOf(item) !== Array.prototype || Object.getOwnPropertySymbols(item).length > 0) {
    throw notCanonical(path, 'is an array of a class of its own')
  }
  if (names !== length + 1) throw notCanonical(path, 'is an array with holes or with members beside its items')
  for (let index = 0; index < length; index += 1) {
    const own = Object.getOwnPropertyDescriptor(item, index)
    if (own === undefined) throw notCanonical(`${path}[${index}]`, 'is a hole')
    if (!('value' in own)) throw notCanonical(`${path}[${index}]`, 'is an accessor')
  }
  return { container: item, path, keys: null, length, next: 0 }
}

function visitMap(item: object, path: string): Visit {
  const prototype = Object.getPrototypeOf(item)
  if (prototype !== null && prototype !== Object.prototype) {
    throw notCanonical(path, 'is an instance of a class; a map is a plain object')
  }
  if (Object.getOwnPropertySymbols(item).length > 0) throw notCanonical(path, 'has a symbol as a key')
  const keys = Object.getOwnPropertyNames(item)
  for (const key of keys) {
    const own = Object.getOwnPropertyDescriptor(item, key)
    if (own === undefined || !('value' in own)) throw notCanonical(`${path}${keyPath(key)}`, 'is an accessor')
    if (own.enumerable !== true) throw notCanonical(`${path}${keyPath(key)}`, 'is hidden (not enumerable)')
    assertText(key, `a key in ${path}`)
  }
  return { container: item, path, keys, length: keys.length, next: 0 }
}

function assertText(text: string, path: string): void {
  if (!text.isWellFormed()) throw notCanonical(path, 'contains a lone surrogate')
  if (text.includes('\u0000')) throw notCanonical(path, 'contains U+0000')
}

/** How a key continues a path: `.name`, or `["any text"]`. */
function keyPath(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

function notCanonical(path: string, fault: string): ArtifactError {
  return new ArtifactError('not_canonical', { path, detail: `${path} ${fault}.` })
}
