import { type ErrorCode, MeshError, type SpaceHead, type SpaceLeaseRecord, spaceTopic } from '@claudemesh/protocol'
import type { SpaceEnd, SpaceLease } from '../store/spaces.ts'
import type { RequestHandler } from './request-handler.ts'

export const findSpaceLease: RequestHandler<'spaces.lease'> = async ({ store, runtime }, { meshId }, { space }) => {
  return { lease: toLeaseRecord(await store.spaces.find({ meshId, space }), runtime.now()) }
}

export const acquireSpace: RequestHandler<'spaces.acquire'> = async ({ store, runtime }, caller, params) => {
  const { space, head, term_ms: termMs } = params
  const now = runtime.now()
  const { granted, lease } = await store.spaces.acquire(caller, { space, head: toEnd(head), termMs, now })
  return { granted, lease: toLeaseRecord(lease, now) }
}

export const renewSpace: RequestHandler<'spaces.renew'> = async ({ store, runtime }, caller, params) => {
  const { space, epoch, term_ms: termMs } = params
  const now = runtime.now()
  const lease = await store.spaces.renew(caller, { space, epoch, termMs, now })
  if (lease === null) throw new MeshError('lease_lost')
  return { lease: toLeaseRecord(lease, now) }
}

export const releaseSpace: RequestHandler<'spaces.release'> = async ({ store }, caller, { space, epoch }) => {
  await store.spaces.release(caller, { space, epoch })
  return {}
}

/** A message to the topic of the space. It asks for no receipts: whoever misses it asks for what it brought. */
export const appendToSpace: RequestHandler<'spaces.append'> = async ({ append }, caller, params) => {
  const { space, epoch, after, head } = params
  const result = await append({
    sender: caller,
    item: {
      client_message_id: params.client_message_id,
      wire_fingerprint: params.wire_fingerprint,
      destination: { kind: 'topic', ref: spaceTopic(space) },
      reply_to: null,
      priority: 'now',
      recipients_epoch: params.recipients_epoch,
      receipts: false,
      sealed: params.sealed,
    },
    append: { space, epoch, after, head: toEnd(head) },
  })
  // The codes of results are those of the catalogue (results.ts).
  if ('code' in result) throw new MeshError(result.code as ErrorCode)
  return { broker_message_id: result.broker_message_id }
}

function toEnd({ seq, event_id: eventId }: SpaceHead): SpaceEnd {
  if ((seq === 0) === (eventId === null)) return { seq, eventId }
  throw new MeshError('invalid_request', { detail: 'A head is a number and an event id, or 0 and null.' })
}

function toLeaseRecord({ holder, epoch, expiresAt, head }: SpaceLease, now: number): SpaceLeaseRecord {
  const expiresInMs = holder === null ? 0 : Math.max(0, expiresAt - now)
  return { holder, epoch, expires_in_ms: expiresInMs, head: { seq: head.seq, event_id: head.eventId } }
}
