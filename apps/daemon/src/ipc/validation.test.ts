import * as protocol from '@claudemesh/protocol'
import {
  eventsQuerySchema,
  inboxQuerySchema,
  markRequestSchema,
  profileRequestSchema,
  pruneRequestSchema,
  sendQuerySchema,
  sendRequestSchema,
} from '@claudemesh/protocol'
import { Ajv } from 'ajv'
import type { TSchema } from 'typebox'
import { expect, test } from 'vitest'
import { plainSchema } from './schema.ts'
import { createValidators, validationError } from './validation.ts'

const validators = createValidators()

function fault(schema: TSchema, httpPart: string, value: unknown): { field: unknown; detail: string } | null {
  const validate = validators.compile({ schema: plainSchema(schema) as object, httpPart })
  if (validate(value) === true) return null
  const error = validationError(validate.errors, httpPart)
  expect(error.code).toBe('invalid_request')
  return { field: error.data['field'], detail: error.message }
}

test('a body that does not fit is told of by its field and a sentence', () => {
  const rows: [schema: TSchema, body: unknown, field: string, sentence: string][] = [
    [sendRequestSchema, undefined, 'body', 'the body must be object'],
    [sendRequestSchema, null, 'body', 'the body must be object'],
    [sendRequestSchema, [], 'body', 'the body must be object'],
    [sendRequestSchema, 'x', 'body', 'the body must be object'],
    [sendRequestSchema, {}, 'to', '`to` is missing in the body'],
    [sendRequestSchema, { to: '@a' }, 'message', '`message` is missing in the body'],
    [sendRequestSchema, { to: '@a', mesage: 'x', message: 'x' }, 'mesage', '`mesage` is not a field of the body'],
    [sendRequestSchema, { to: 5, message: 'x' }, 'to', '`to` in the body must be string'],
    [sendRequestSchema, { to: '', message: 'x' }, 'to', 'fewer than 1 characters'],
    [sendRequestSchema, { to: '@a', message: 5 }, 'message', 'must be string'],
    [sendRequestSchema, { to: '@a', message: 'x', priority: 'soon' }, 'priority', 'must be one of now, next, low'],
    [sendRequestSchema, { to: '@a', message: 'x', meta: 'x' }, 'meta', 'must be object or null'],
    [sendRequestSchema, { to: '@a', message: 'x', meta: [] }, 'meta', 'must be object or null'],
    [sendRequestSchema, { to: '@a', message: 'x', replyToId: 'x' }, 'replyToId', 'does not have the form'],
    [sendRequestSchema, { to: '@a', message: 'x', mentions: ['@b', 5] }, 'mentions/1', 'must be string'],
    [sendRequestSchema, { to: '@a', message: 'x', receipts: 'false' }, 'receipts', 'must be boolean'],
    [sendRequestSchema, { to: '@a', message: 'x', client_message_id: 7 }, 'client_message_id', 'must be string'],
    [markRequestSchema, { ids: [] }, 'ids', 'fewer than 1 items'],
    [markRequestSchema, { ids: ['x'] }, 'ids/0', 'does not have the form'],
    [profileRequestSchema, { visible: 1 }, 'visible', 'must be boolean'],
    [pruneRequestSchema, { older_than_ms: Number.POSITIVE_INFINITY }, 'older_than_ms', 'must be integer'],
    [profileRequestSchema, { summary: 5 }, 'summary', 'must be string'],
  ]
  for (const [schema, body, field, sentence] of rows) {
    const found = fault(schema, 'body', body)
    expect([body, found?.field]).toEqual([body, field])
    expect(found?.detail).toContain(sentence)
  }
})

test('nothing in a body is converted, defaulted or removed', () => {
  const body = { ids: ['01JD0000000000000000000000'] }
  expect(fault(markRequestSchema, 'body', body)).toBe(null)
  expect(body).toEqual({ ids: ['01JD0000000000000000000000'] })
  expect(fault(sendRequestSchema, 'body', { to: '@a', message: 'x', receipts: 1 })).not.toBe(null)
})

test('numbers and booleans are read from the texts of a query string', () => {
  const query: Record<string, unknown> = { limit: '7', unread: 'true', since: '5' }
  expect(fault(inboxQuerySchema, 'querystring', query)).toBe(null)
  expect(query).toEqual({ limit: 7, unread: true, since: 5 })
})

test('a query string that does not fit is told of by its field', () => {
  const rows: [schema: TSchema, query: Record<string, unknown>, field: string][] = [
    [inboxQuerySchema, { limt: '5' }, 'limt'],
    [inboxQuerySchema, { limit: '0' }, 'limit'],
    [inboxQuerySchema, { limit: '501' }, 'limit'],
    [inboxQuerySchema, { limit: 'many' }, 'limit'],
    [inboxQuerySchema, { limit: ['1', '2'] }, 'limit'],
    [inboxQuerySchema, { unread: 'maybe' }, 'unread'],
    [inboxQuerySchema, { since: '-1' }, 'since'],
    [inboxQuerySchema, { since: '1e999' }, 'since'],
    [inboxQuerySchema, { order: 'random' }, 'order'],
    [sendQuerySchema, { wait: '30001' }, 'wait'],
    [sendQuerySchema, { until: 'tomorrow' }, 'until'],
    [eventsQuerySchema, { since: 'x' }, 'since'],
  ]
  for (const [schema, query, field] of rows) {
    expect([query, fault(schema, 'querystring', { ...query })?.field]).toEqual([query, field])
  }
})

test('whatever the protocol calls a schema is one', () => {
  const ajv = new Ajv({ strict: false })
  const schemas = Object.entries(protocol).filter(([name]) => name.endsWith('Schema'))
  expect(schemas.length).toBeGreaterThan(50)
  for (const [name, schema] of schemas) {
    expect([name, ajv.validateSchema(schema as object), ajv.errors]).toEqual([name, true, null])
  }
})
