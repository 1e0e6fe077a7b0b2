/**
 * The correlated calls of relayed blobs (04 §8). The bytes themselves go over HTTP, at `/v1/blobs/<address>`, each request
 * with a ticket that is given out here: for one member, one address, one size and one direction, and for some minutes.
 */
import { type TSchema, Type } from 'typebox'
import { memberIdPattern } from '../ids.ts'
import { recipientsMax, timeMax } from '../limits.ts'

const closed = { additionalProperties: false }
/** Of the sealed bytes. */
const address = Type.String({ pattern: '^blake3:[0-9a-f]{64}$' })
const sizeBytes = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const time = Type.Integer({ minimum: 0, maximum: timeMax })
/** For the `Authorization` of a request: `Bearer <ticket>`. */
const ticket = Type.String({ pattern: '^[A-Za-z0-9_.-]{1,1024}$' })

export const blobOperations = {
  /**
   * Room for a blob, or more recipients and more time for one that is there: its end is never nearer afterwards. Members
   * that are gone are passed over. `stored`: all of it is there already, and nothing is to be sent.
   */
  'blobs.upload': {
    params: Type.Object(
      {
        address,
        size_bytes: sizeBytes,
        recipients: Type.Array(Type.String({ pattern: memberIdPattern }), {
          minItems: 1,
          maxItems: recipientsMax,
          uniqueItems: true,
        }),
        expires_at: time,
      },
      closed,
    ),
    result: Type.Object({ ticket, ticket_expires_at: time, expires_at: time, stored: Type.Boolean() }),
  },
  /** For whom the blob names, and who sent it. */
  'blobs.download': {
    params: Type.Object({ address, size_bytes: sizeBytes }, closed),
    result: Type.Object({ ticket, ticket_expires_at: time, expires_at: time }),
  },
  /** The asking member has all of it. Once everybody has whom it names, the broker keeps it no longer. */
  'blobs.acknowledge': {
    params: Type.Object({ address }, closed),
    result: Type.Object({}),
  },
} as const satisfies Record<string, { params: TSchema; result: TSchema }>
