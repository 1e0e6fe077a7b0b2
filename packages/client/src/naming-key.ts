import { MeshError } from './protocol.ts'

/** The same error, with the key under which the same can be asked again. */
export function namingKey(error: MeshError, key: Readonly<Record<string, string>>): MeshError {
  return new MeshError(error.code, {
    detail: error.message,
    hint: error.hint,
    data: { ...key, ...error.data },
    cause: error.cause ?? error,
  })
}
