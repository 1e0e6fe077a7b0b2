/** The part of the catalogue of errors that is about blobs a broker relays (04 §8). */
export const blobErrors = {
  relay_unavailable: {
    status: 501,
    retryable: false,
    title: 'The broker relays no files',
    hint: 'Send what fits into a message, or give the broker a place for blobs: see docs/self-hosting.md.',
  },
  blob_not_found: {
    status: 404,
    retryable: false,
    title: 'The broker has no such blob for this member',
    hint: 'It was fetched by everybody it was for, was never uploaded, or is for others: ask its sender to share it again.',
  },
  blob_expired: {
    status: 410,
    retryable: false,
    title: 'The time of the blob is over',
    hint: 'Ask its sender to share it again.',
  },
  blob_too_large: {
    status: 413,
    retryable: false,
    title: 'The blob is larger than the broker relays',
    hint: 'Share less at once, or have the operator raise CLAUDEMESH_BROKER_BLOB_BYTES.',
  },
  blob_quota_exceeded: {
    status: 507,
    retryable: true,
    title: 'The mesh has as much at the broker as it may',
    hint: 'Wait until recipients have fetched, or have the operator raise CLAUDEMESH_BROKER_BLOB_QUOTA_BYTES.',
  },
  ticket_invalid: {
    status: 401,
    retryable: false,
    title: 'The request carries no ticket for what it asks',
    hint: 'Ask the broker for another ticket; one is for one address, one size and one direction, and for some minutes.',
  },
} as const
