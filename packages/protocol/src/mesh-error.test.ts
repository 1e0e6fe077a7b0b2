import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ErrorCode, errorCatalogue } from './errors.ts'
import { fromProblem, MeshError, type Problem, toProblem } from './mesh-error.ts'

const codes = Object.keys(errorCatalogue) as ErrorCode[]
const standardMembers = ['type', 'title', 'status', 'detail', 'code', 'retryable', 'hint']

describe('a MeshError', () => {
  test('takes status, retryable, text and hint from the catalogue when nothing else is said', () => {
    for (const code of codes) {
      const error = new MeshError(code)
      const { status, retryable, title, hint } = errorCatalogue[code]
      expect(error).toMatchObject({ name: 'MeshError', code, status, retryable, message: title, hint, data: {} })
      expect('cause' in error, code).toBe(false)
    }
  })

  test('keeps what it is given', () => {
    const cause = new Error('disk')
    const error = new MeshError('storage_failed', { detail: 'no', hint: 'do', data: { path: '/x' }, cause })
    expect(error).toMatchObject({ message: 'no', hint: 'do', data: { path: '/x' }, cause })
    expect(error).toBeInstanceOf(Error)
  })
})

describe('a problem document', () => {
  test('has the standard members, and the extra ones beside them', () => {
    const error = new MeshError('idempotency_key_reused', {
      detail: 'the key belongs to another send',
      data: { conflict: 'outbox_done_fingerprint_mismatch' },
    })
    expect(toProblem(error)).toEqual({
      type: 'urn:claudemesh:problem:idempotency_key_reused',
      title: errorCatalogue.idempotency_key_reused.title,
      status: 409,
      detail: 'the key belongs to another send',
      code: 'idempotency_key_reused',
      retryable: false,
      hint: errorCatalogue.idempotency_key_reused.hint,
      conflict: 'outbox_done_fingerprint_mismatch',
    })
  })

  test('never lets an extra member replace a standard one', () => {
    const data = Object.fromEntries(standardMembers.map((member) => [member, 'forged']))
    const problem = toProblem(new MeshError('not_found', { data }))
    expect(Object.values(problem)).not.toContain('forged')
  })

  test('carries neither stack nor cause', () => {
    const problem = toProblem(new MeshError('internal_error', { cause: new Error('secret') }))
    expect(JSON.stringify(problem)).not.toContain('secret')
    expect(Object.keys(problem).toSorted()).toEqual(standardMembers.toSorted())
  })

  test('becomes the same error again on the other side', () => {
    const member = fc.string().filter((name) => !standardMembers.includes(name))
    const options = fc.record({ detail: fc.string(), hint: fc.string(), data: fc.dictionary(member, fc.jsonValue()) })
    fc.assert(
      fc.property(fc.constantFrom(...codes), options, (code, given) => {
        const sent = new MeshError(code, given)
        const received = fromProblem(JSON.parse(JSON.stringify(toProblem(sent))) as Problem)
        expect(received).toMatchObject({ code, message: sent.message, hint: sent.hint, status: sent.status })
        expect(JSON.stringify(received.data)).toBe(JSON.stringify(sent.data))
      }),
    )
  })

  test('of a newer version, with a code unknown here, is an internal_error that remembers it', () => {
    const error = fromProblem({ code: 'invented_later', detail: 'something new', retryable: false, extra: 1 })
    expect(error).toMatchObject({
      code: 'internal_error',
      message: 'something new',
      data: { remote_code: 'invented_later', extra: 1 },
    })
  })

  test('that is nothing of the kind still becomes an error', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...standardMembers, 'x'), fc.jsonValue()), (problem) => {
        expect(fromProblem(problem as Partial<Problem>)).toBeInstanceOf(MeshError)
      }),
    )
  })
})
