import { errorCatalogue, MeshError } from '@claudemesh/protocol'
import { expect, test } from 'vitest'
import { problemAnswer, toMeshError } from './problem.ts'

test('whatever is thrown becomes an error of the catalogue', () => {
  const rows: [thrown: unknown, code: string][] = [
    [new MeshError('recipient_unknown'), 'recipient_unknown'],
    [
      Object.assign(new Error('x'), { code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', statusCode: 415 }),
      'unsupported_media_type',
    ],
    [Object.assign(new Error('x'), { code: 'FST_ERR_CTP_EMPTY_JSON_BODY', statusCode: 400 }), 'invalid_json'],
    [Object.assign(new Error('x'), { code: 'FST_ERR_CTP_INVALID_JSON_BODY', statusCode: 400 }), 'invalid_json'],
    [Object.assign(new Error('x'), { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 }), 'body_too_large'],
    [Object.assign(new Error('x'), { code: 'FST_ERR_BAD_URL', statusCode: 400 }), 'malformed_http'],
    [Object.assign(new Error('x'), { statusCode: 418 }), 'malformed_http'],
    [Object.assign(new Error('x'), { validation: [], validationContext: 'body' }), 'invalid_request'],
    [new TypeError('undefined is not a function'), 'internal_error'],
    [new Error('SQLITE_CORRUPT at /home/me/secret'), 'internal_error'],
    ['a text', 'internal_error'],
    [undefined, 'internal_error'],
    [null, 'internal_error'],
  ]
  for (const [thrown, code] of rows) expect([thrown, toMeshError(thrown).code]).toEqual([thrown, code])
})

test('an answer has the members of RFC 9457, a code, a hint, and nothing of the runtime', () => {
  const { status, headers, body } = problemAnswer(toMeshError(new Error('secret of the runtime')))
  expect(status).toBe(500)
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8')
  expect(JSON.parse(body)).toEqual({
    type: 'urn:claudemesh:problem:internal_error',
    title: errorCatalogue.internal_error.title,
    status: 500,
    detail: errorCatalogue.internal_error.title,
    code: 'internal_error',
    retryable: true,
    hint: errorCatalogue.internal_error.hint,
  })
  expect(body).not.toContain('secret')
})

test('headers follow from the code', () => {
  const rows: [error: MeshError, header: string, value: string | undefined][] = [
    [new MeshError('daemon_busy'), 'retry-after', '1'],
    [new MeshError('rate_limited'), 'retry-after', '1'],
    [new MeshError('too_many_streams'), 'retry-after', '1'],
    [new MeshError('shutting_down'), 'retry-after', '1'],
    [new MeshError('shutting_down'), 'connection', 'close'],
    [new MeshError('not_found'), 'retry-after', undefined],
    [new MeshError('unauthorized'), 'www-authenticate', 'Bearer realm="claudemesh"'],
    [new MeshError('method_not_allowed', { data: { allow: 'GET' } }), 'allow', 'GET'],
  ]
  for (const [error, header, value] of rows) {
    expect([error.code, header, problemAnswer(error).headers[header]]).toEqual([error.code, header, value])
  }
})
