/**
 * What does not fit a JSON schema, made from the schema: one value after the other, each with a single fault. What fits
 * is made too, as the ground that a fault is put into.
 */

/** As much of JSON Schema as the schemas of this project use. */
export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
}

export type FaultKind =
  | 'wrong type'
  | 'missing field'
  | 'unknown field'
  | 'too long'
  | 'too short'
  | 'wrong form'
  | 'wrong number'
  | 'too many'
  | 'nested deeply'

/** A value with one fault. */
export interface Fault {
  readonly kind: FaultKind
  /** Where in the value, with slashes into the depth. */
  readonly at: string
  readonly value: unknown
}

/** One text for each form that texts have in this project; a schema of a new form needs one here. */
const texts = [
  'text',
  '01JD0000000000000000000000',
  'a'.repeat(64),
  `blake3:${'a'.repeat(64)}`,
  'A'.repeat(86),
  'A'.repeat(43),
  '1',
  'team',
  'A'.repeat(22),
  'ws://127.0.0.1:9',
  'messages/mesh=home',
]
const typeNames = ['null', 'boolean', 'integer', 'string', 'array', 'object'] as const
type TypeName = (typeof typeNames)[number]
const ofType: Readonly<Record<TypeName, unknown>> = {
  null: null,
  boolean: true,
  integer: 7,
  string: 'x',
  array: [],
  object: {},
}
/** Texts that fit no form. */
const formless = ['', ' ', '\u0000', '\ud800', '../..', '💥'.repeat(8), "'; DROP TABLE outbox; --"]
const depth = 2_000
/** As much as fits into the head of a request. */
const pathCharactersMax = 2_000

/**
 * A value that fits.
 *
 * @throws Error when the schema asks for a form of text that is not known here
 */
export function fitting(schema: JsonSchema): unknown {
  if ('const' in schema) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  if (schema.anyOf !== undefined) return fitting(schema.anyOf[0] ?? {})
  switch ([schema.type].flat()[0]) {
    case 'object': {
      const required = (schema.required ?? []).map((name) => [name, fitting(schema.properties?.[name] ?? {})])
      return Object.fromEntries(required)
    }
    case 'array':
      return Array.from({ length: schema.minItems ?? 0 }, () => fitting(schema.items ?? {}))
    case 'string':
      return fittingText(schema)
    case 'integer':
    case 'number':
      return schema.minimum ?? 0
    case 'boolean':
      return true
    default:
      return null
  }
}

/** Every single fault of a value that the schema can tell of. */
export function* faults(schema: JsonSchema): Generator<Fault> {
  yield* faultsHere(schema)
  for (const alternative of schema.anyOf ?? []) {
    // An alternative is known by its constants, so that a fault inside it fits none of the others.
    if (isContainer(alternative)) yield* [...faults(alternative)].filter((fault) => fault.at !== '')
  }
  const whole = fitting(schema)
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    for (const { kind, at, value } of faults(property)) {
      yield { kind, at: joined(name, at), value: { ...(whole as object), [name]: value } }
    }
  }
  if (schema.items !== undefined && typesOf(schema).has('array')) {
    for (const { kind, at, value } of faults(schema.items)) yield { kind, at: joined('0', at), value: [value] }
  }
}

/** Faults of a value that travels as text: in a query, a path or a header. */
export function textFaults(schema: JsonSchema): readonly { readonly kind: FaultKind; readonly text: string }[] {
  const { type, minimum, maximum } = schema
  const kind = [type].flat()[0]
  if (kind === 'integer') {
    const beyond = [...(minimum === undefined ? [] : [minimum - 1]), ...(maximum === undefined ? [] : [maximum + 1])]
    const numbers = ['NaN', 'Infinity', '-Infinity', '1.5', '1e400', '-1', '', 'x', '1x', 'null', 'true', ...beyond]
    return numbers.map((text) => ({ kind: 'wrong number', text: String(text) }))
  }
  if (kind === 'boolean') return ['', 'yes', '2', 'TRUE', '[]'].map((text) => ({ kind: 'wrong type', text }))
  return [...faultsHere(schema)]
    .filter((fault) => typeof fault.value === 'string')
    .map((fault) => ({ kind: fault.kind, text: (fault.value as string).toWellFormed().slice(0, pathCharactersMax) }))
}

function* faultsHere(schema: JsonSchema): Generator<Fault> {
  const types = typesOf(schema)
  const fault = (kind: FaultKind, value: unknown, at = ''): Fault => ({ kind, at, value })
  if (types.size > 0) {
    for (const name of typeNames) if (!types.has(name)) yield fault('wrong type', ofType[name])
    if (!types.has('array')) yield fault('nested deeply', nested())
    if (types.has('integer') || types.has('number')) yield* wrongNumbers(schema)
    if (types.has('string')) yield* wrongTexts(schema)
  }
  if (types.has('array')) {
    const { minItems = 0, maxItems, items = {} } = schema
    if (minItems > 0) yield fault('too short', [])
    if (maxItems !== undefined) yield fault('too many', Array(maxItems + 1).fill(fitting(items)))
    if (typesOf(items).size > 0 && !typesOf(items).has('array')) yield fault('nested deeply', nested())
  }
  if (types.has('object') && schema.properties !== undefined) {
    const whole = fitting(schema) as Record<string, unknown>
    for (const name of schema.required ?? []) {
      const { [name]: _, ...others } = whole
      yield fault('missing field', others, name)
    }
    if (schema.additionalProperties === false) {
      for (const name of ['surprise', '', 'toString', 'x'.repeat(10_000)]) {
        yield fault('unknown field', { ...whole, [name]: 1 }, name)
      }
    }
  }
}

function* wrongNumbers({ type, minimum, maximum }: JsonSchema): Generator<Fault> {
  const wrong = (value: number): Fault => ({ kind: 'wrong number', at: '', value })
  if ([type].flat().includes('integer')) yield wrong(1.5)
  if (minimum !== undefined) yield* [minimum - 1, -1e308].map(wrong)
  if (maximum !== undefined) yield* [maximum + 1, Math.max(maximum * 2, 2 ** 63), 1e308].map(wrong)
}

function* wrongTexts(schema: JsonSchema): Generator<Fault> {
  const { minLength = 0, maxLength, pattern } = schema
  if (minLength > 0) yield { kind: 'too short', at: '', value: '' }
  if (maxLength !== undefined) yield { kind: 'too long', at: '', value: 'x'.repeat(maxLength + 1) }
  const form = pattern === undefined ? null : new RegExp(pattern, 'u')
  const choices = schema.enum ?? ('const' in schema ? [schema.const] : null)
  for (const text of formless) {
    const fits = choices === null ? (form?.test(text) ?? true) : choices.includes(text)
    if (!fits) yield { kind: 'wrong form', at: '', value: text }
  }
  if (form !== null || choices !== null) yield { kind: 'too long', at: '', value: 'x'.repeat(100_000) }
}

/** Empty when anything fits. */
function typesOf(schema: JsonSchema): ReadonlySet<string> {
  if ('const' in schema) return new Set([typeName(schema.const)])
  if (schema.enum !== undefined) return new Set(schema.enum.map(typeName))
  if (schema.anyOf !== undefined) {
    const each = schema.anyOf.map(typesOf)
    return each.some((types) => types.size === 0) ? new Set() : new Set(each.flatMap((types) => [...types]))
  }
  return new Set([schema.type ?? []].flat())
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'number' ? 'integer' : typeof value
}

function isContainer(schema: JsonSchema): boolean {
  return schema.type === 'object' || schema.type === 'array'
}

function fittingText({ pattern, minLength = 0, maxLength = Number.POSITIVE_INFINITY }: JsonSchema): string {
  const form = pattern === undefined ? null : new RegExp(pattern, 'u')
  const found = texts.find(
    (text) => text.length >= minLength && text.length <= maxLength && (form === null || form.test(text)),
  )
  if (found === undefined) throw new Error(`no text of the form ${pattern} is known here`)
  return found
}

function nested(): unknown {
  let value: unknown = []
  for (let level = 1; level < depth; level += 1) value = [value]
  return value
}

function joined(name: string, at: string): string {
  return at === '' ? name : `${name}/${at}`
}
