import type { FastifyRequest } from 'fastify'
import { readClientMessageId } from '../send/content.ts'

/**
 * The key of a request that may be asked again, for operations that answer as they did the first time.
 *
 * @throws MeshError `invalid_client_message_id`
 */
export function readIdempotencyKey({ headers }: FastifyRequest): { readonly idempotencyKey?: string } {
  const header = headers['idempotency-key']
  const key = readClientMessageId(header === undefined ? null : String(header), undefined)
  return key === null ? {} : { idempotencyKey: key }
}
