import { type ErrorCode, MeshError } from '@claudemesh/protocol'

/** What an `ArtifactError` is made with beside its code. */
export interface ArtifactErrorOptions {
  /** Which rule was broken, where one code covers several; stable. */
  readonly reason?: string
  /** The sentence for a person. Holds no path of the host and no secret. */
  readonly detail?: string
  /** Where in the value the fault is, as in `$.files[3].size_bytes`. */
  readonly path?: string
  /** What a program may want to know beside the code. */
  readonly data?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** The error of everything in this package: a code of the catalogue, and which rule or place of it. */
export class ArtifactError extends MeshError {
  readonly reason: string | undefined
  readonly path: string | undefined

  constructor(code: ErrorCode, o: ArtifactErrorOptions = {}) {
    const { reason, detail, path, data, cause } = o
    super(code, {
      data: { ...data, ...(reason === undefined ? {} : { reason }), ...(path === undefined ? {} : { path }) },
      ...(detail === undefined ? {} : { detail }),
      ...(cause === undefined ? {} : { cause }),
    })
    this.name = 'ArtifactError'
    this.reason = reason
    this.path = path
  }
}
