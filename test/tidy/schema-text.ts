/** A JSON schema as a person reads a type: one line where it fits, members under each other where it does not. */
interface Schema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly additionalProperties?: Schema | boolean
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly description?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly pattern?: string
}

const widthMax = 110
/** Bounds that say no more than that it is a whole number or a time. */
const isTellingMax = 2 ** 40

export function schemaText(schema: unknown, indent = ''): string {
  const whole = schema as Schema
  if (whole.const !== undefined) return JSON.stringify(whole.const)
  if (whole.enum !== undefined) return whole.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (whole.anyOf !== undefined) return alternatives(whole.anyOf, indent)
  if (whole.properties !== undefined) return members(whole, indent)
  if (whole.type === 'array')
    return `${grouped(schemaText(whole.items ?? {}, indent))}[]${bounds(whole.minItems, whole.maxItems)}`
  const values =
    whole.patternProperties === undefined ? whole.additionalProperties : Object.values(whole.patternProperties)[0]
  if (whole.type === 'object')
    return typeof values === 'object' ? `{ [name]: ${schemaText(values, indent)} }` : 'object'
  return scalar(whole)
}

function alternatives(all: readonly Schema[], indent: string): string {
  return [...new Set(all.map((each) => schemaText(each, indent)))].join(' | ')
}

function members({ properties = {}, required = [] }: Schema, indent: string): string {
  const inner = `${indent}  `
  const lines = Object.entries(properties).map(([name, schema]) => {
    const key = `${name}${required.includes(name) ? '' : '?'}`
    return { text: `${key}: ${schemaText(schema, inner)}`, note: schema.description }
  })
  if (lines.length === 0) return '{}'
  const short = `{ ${lines.map(({ text }) => text).join(', ')} }`
  const isPlain = lines.every(({ note, text }) => note === undefined && !text.includes('\n'))
  if (isPlain && indent.length + short.length <= widthMax) return short
  const told = lines.map(({ text, note }) => `${inner}${text}${note === undefined ? '' : `  // ${note}`}`)
  return `{\n${told.join('\n')}\n${indent}}`
}

function scalar({ type, pattern, ...limits }: Schema): string {
  const name = [type ?? 'any'].flat().join(' | ')
  if (type === 'string')
    return pattern === undefined ? `string${bounds(limits.minLength, limits.maxLength)}` : patternName(pattern)
  const isTelling = limits.maximum !== undefined && limits.maximum < isTellingMax
  return `${name}${bounds(limits.minimum === 0 && !isTelling ? undefined : limits.minimum, isTelling ? limits.maximum : undefined)}`
}

/** Of patterns that have a name of their own. */
function patternName(pattern: string): string {
  if (pattern.includes('A-HJKMNP-TV-Z')) return 'ulid'
  return pattern === '^[0-9a-f]{64}$' ? 'hex of 32 bytes' : 'string'
}

function bounds(min: number | undefined, max: number | undefined): string {
  if (min === undefined && max === undefined) return ''
  return `(${min ?? ''}..${max ?? ''})`
}

function grouped(text: string): string {
  return text.includes(' | ') && !text.startsWith('{') ? `(${text})` : text
}
