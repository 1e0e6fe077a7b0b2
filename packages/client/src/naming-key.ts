import { MeshError } from './protocol.ts'

/** The same error, with the key under which the send can be repeated. */
export function namingKey(error: MeshError, clientMessageId: string): MeshError {
  return new MeshError(error.code, {
    detail: error.message,
    hint: error.hint,
    data: { client_message_id: clientMessageId, ...error.data },
    cause: error.cause ?? error,
  })
}
