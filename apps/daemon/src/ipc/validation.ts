/**
 * The two validators of the IPC, compiled from the schemas of packages/protocol, and the sentence for what does not
 * fit. Each schema is compiled when it is first met: a daemon is asked by few of its routes. A body is taken as it is:
 * nothing is converted, defaulted or removed, so that what is validated is what is fingerprinted. A query string has only
 * texts, so numbers and booleans are read from them.
 */
import { MeshError } from '@claudemesh/protocol'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'

export interface Validators {
  /** The check of one part of a request; Fastify asks for it once per route and part. */
  compile(o: { schema: object; httpPart?: string | undefined }): Check
}

/** Whether a value fits; if it does not, `errors` says why until the next call. */
interface Check {
  (value: unknown): boolean
  errors?: ErrorObject[] | null
}

export function createValidators(): Validators {
  // That the schemas are schemas is asked by a test: to compile the schema of schemas is a fifth of a daemon's start.
  const trusted = { validateSchema: false, meta: false }
  const options = { ...trusted, strict: false, validateFormats: false, ownProperties: true }
  // JSON can carry an infinity (1e999), which nothing here counts with. Where texts are converted, `strictNumbers` would
  // skip the bounds of a number instead.
  const bodies = new Ajv({
    ...options,
    strictNumbers: true,
    coerceTypes: false,
    useDefaults: false,
    removeAdditional: false,
  })
  const queries = new Ajv({ ...options, coerceTypes: true, useDefaults: true, removeAdditional: false })
  return {
    compile: ({ schema, httpPart }) => compileWhenAsked(httpPart === 'body' ? bodies : queries, schema),
  }
}

function compileWhenAsked(ajv: Ajv, schema: object): Check {
  let validate: ValidateFunction | null = null
  const check: Check = (value) => {
    validate ??= ajv.compile(schema)
    const fits = validate(value)
    check.errors = validate.errors ?? null
    return fits
  }
  return check
}

/** The places of a request, as people call them. */
const placeNames: Readonly<Record<string, string>> = {
  body: 'the body',
  querystring: 'the query string',
  params: 'the path',
  headers: 'the headers',
}

/** The error for a request part that failed its schema; `field` names what is wrong, with slashes into the depth. */
export function validationError(errors: readonly Partial<ErrorObject>[] | null | undefined, part: string): MeshError {
  const place = placeNames[part] ?? part
  const fault = pick(errors ?? [])
  if (fault === undefined) return new MeshError('invalid_request', { detail: `${place} does not fit` })
  const path = (fault.instancePath ?? '').split('/').slice(1).map(unescapePointer)
  const params: Record<string, unknown> = fault.params ?? {}
  if (fault.keyword === 'additionalProperties') {
    const field = [...path, String(params['additionalProperty'])].join('/')
    return refusal(field, `\`${field}\` is not a field of ${place}`)
  }
  if (fault.keyword === 'required') {
    const field = [...path, String(params['missingProperty'])].join('/')
    return refusal(field, `\`${field}\` is missing in ${place}`)
  }
  const field = path.join('/')
  const subject = field === '' ? place : `\`${field}\` in ${place}`
  return refusal(field === '' ? part : field, `${subject} ${sentence(fault, errors ?? [])}`)
}

function refusal(field: string, detail: string): MeshError {
  return new MeshError('invalid_request', { detail: detail.slice(0, 512), data: { field: field.slice(0, 128) } })
}

/** A union reports each alternative and then itself: the last word is the union's, unless one alternative got deeper. */
function pick(errors: readonly Partial<ErrorObject>[]): Partial<ErrorObject> | undefined {
  const last = errors.at(-1)
  if (last?.keyword !== 'anyOf') return errors[0]
  const deeper = errors.find((error) => (error.instancePath ?? '').length > (last.instancePath ?? '').length)
  return deeper ?? errors.find((error) => error.keyword === 'additionalProperties') ?? last
}

function sentence(fault: Partial<ErrorObject>, errors: readonly Partial<ErrorObject>[]): string {
  if (fault.keyword === 'anyOf') return `must be ${alternatives(fault, errors).join(' or ')}`
  const params: Record<string, unknown> = fault.params ?? {}
  if (fault.keyword === 'enum') return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`
  if (fault.keyword === 'const') return `must be ${JSON.stringify(params['allowedValue'])}`
  if (fault.keyword === 'pattern') return 'does not have the form it must have'
  return (fault.message ?? 'does not fit').replace('NOT ', 'not ')
}

function alternatives(union: Partial<ErrorObject>, errors: readonly Partial<ErrorObject>[]): string[] {
  const words = errors
    .filter((error) => error !== union && error.instancePath === union.instancePath)
    .map((error) => {
      const params: Record<string, unknown> = error.params ?? {}
      if (error.keyword === 'const') return JSON.stringify(params['allowedValue'])
      if (error.keyword === 'type') return String(params['type'])
      return (error.message ?? 'something else').replace(/^must be /, '')
    })
  return [...new Set(words)]
}

function unescapePointer(segment: string): string {
  return segment.replaceAll('~1', '/').replaceAll('~0', '~')
}
