/**
 * The schemas of packages/protocol as the framework takes them: the same language, said more plainly. A union of
 * constants becomes an `enum`, a value or null becomes a type list. Validators answer with clearer faults, the
 * compiled serialiser needs no validation of alternatives, and OpenAPI reads as people write it.
 */
import type { FastifyTypeProvider } from 'fastify'
import type { Static, TSchema } from 'typebox'

/** Lets the framework infer the types of a request from the TypeBox schemas of its route. */
export interface SchemaTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  readonly serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
}

type PlainSchema = Record<string, unknown>

/** A plain copy of a schema, or of an object of schemas. */
export function plainSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plainSchema)
  if (schema === null || typeof schema !== 'object') return schema
  const copy: PlainSchema = {}
  for (const [key, value] of Object.entries(schema)) copy[key] = plainSchema(value)
  return Array.isArray(copy['anyOf']) ? plainUnion(copy, copy['anyOf'] as PlainSchema[]) : copy
}

function plainUnion(union: PlainSchema, alternatives: readonly PlainSchema[]): PlainSchema {
  const { anyOf: _, ...rest } = union
  const constants = alternatives.filter((alternative) => 'const' in alternative)
  if (constants.length === alternatives.length) {
    return { ...rest, type: 'string', enum: constants.map((alternative) => alternative['const']) }
  }
  const [value, none] = alternatives
  if (alternatives.length !== 2 || value === undefined || none?.['type'] !== 'null') return union
  const type = value['type']
  if (typeof type !== 'string' || type === 'object' || type === 'array') return union
  const choices = Array.isArray(value['enum']) ? { enum: [...value['enum'], null] } : {}
  return { ...value, ...rest, ...choices, type: [type, 'null'] }
}
