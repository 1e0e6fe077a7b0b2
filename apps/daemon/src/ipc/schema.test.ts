import fc from 'fast-check'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { plainSchema } from './schema.ts'
import { createValidators } from './validation.ts'

test('unions of constants and of a value with null are said plainly; other unions stay', () => {
  const literals = Type.Union([Type.Literal('a'), Type.Literal('b')], { description: 'why' })
  const rows: [schema: unknown, plain: unknown][] = [
    [literals, { description: 'why', type: 'string', enum: ['a', 'b'] }],
    [Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]), { minimum: 0, type: ['integer', 'null'] }],
    [Type.Union([literals, Type.Null()]), { description: 'why', enum: ['a', 'b', null], type: ['string', 'null'] }],
    [Type.Union([Type.Object({}), Type.Null()]), { anyOf: [{ type: 'object', properties: {} }, { type: 'null' }] }],
    [Type.Array(literals), { type: 'array', items: { description: 'why', type: 'string', enum: ['a', 'b'] } }],
  ]
  for (const [schema, plain] of rows) expect(plainSchema(schema)).toEqual(plain)
})

test('a plain schema takes exactly what the schema takes', () => {
  const schema = Type.Object({
    word: Type.Union([Type.Literal('a'), Type.Literal('b')]),
    maybe: Type.Union([Type.Union([Type.Literal('x'), Type.Literal('y')]), Type.Null()]),
    number: Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
  })
  const { compile } = createValidators()
  const original = compile({ schema, httpPart: 'body' })
  const plain = compile({ schema: plainSchema(schema) as object, httpPart: 'body' })
  const some = fc.constantFrom<unknown>('a', 'b', 'x', 'y', '', 0, 1, -1, 1.5, null, true, [], {})
  fc.assert(
    fc.property(fc.record({ word: some, maybe: some, number: some }, { requiredKeys: [] }), (value) => {
      expect(plain(value)).toBe(original(value))
    }),
  )
})
