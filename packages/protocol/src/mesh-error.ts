import { type ErrorCode, errorCatalogue, isErrorCode } from './errors.ts'

/** What a `MeshError` is made with: `detail` is the sentence for a person, `data` the members for a program. */
export interface MeshErrorOptions {
  readonly detail?: string
  readonly data?: Readonly<Record<string, unknown>>
  readonly hint?: string
  readonly cause?: unknown
}

/** The one error class: a code of the catalogue, what happened, and what to do. */
export class MeshError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly retryable: boolean
  readonly data: Readonly<Record<string, unknown>>
  readonly hint: string

  constructor(code: ErrorCode, options: MeshErrorOptions = {}) {
    const definition = errorCatalogue[code]
    super(options.detail ?? definition.title, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MeshError'
    this.code = code
    this.status = definition.status
    this.retryable = definition.retryable
    this.data = options.data ?? {}
    this.hint = options.hint ?? definition.hint
  }
}

/** An error document by RFC 9457 with this project's own members beside the standard ones. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly retryable: boolean
  readonly hint: string
  readonly [member: string]: unknown
}

/** The problem document of an error. Its extra members (`data`) never replace the standard ones. */
export function toProblem(error: MeshError): Problem {
  return {
    ...error.data,
    type: `urn:claudemesh:problem:${error.code}`,
    title: errorCatalogue[error.code].title,
    status: error.status,
    detail: error.message,
    code: error.code,
    retryable: error.retryable,
    hint: error.hint,
  }
}

const standardMembers = new Set(['type', 'title', 'status', 'detail', 'code', 'retryable', 'hint'])

/** The error that a problem document tells of. A code that this version does not know becomes `internal_error`. */
export function fromProblem(problem: Partial<Problem>): MeshError {
  const known = isErrorCode(problem.code)
  const extra = Object.entries(problem).filter(([member]) => !standardMembers.has(member))
  const data = Object.fromEntries(known ? extra : [...extra, ['remote_code', problem.code]])
  return new MeshError(known ? (problem.code as ErrorCode) : 'internal_error', {
    data,
    ...(typeof problem.detail === 'string' ? { detail: problem.detail } : {}),
    ...(typeof problem.hint === 'string' ? { hint: problem.hint } : {}),
  })
}
