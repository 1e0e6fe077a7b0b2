/** `/v1/peers`, `/v1/profile`, `/v1/topic/*`. */
import { type Static, Type } from 'typebox'
import { roleSchema } from '../certificate.ts'
import { closed, memberIdSchema, timeSchema } from './schemas.ts'

export const peerSchema = Type.Object({
  member_id: memberIdSchema,
  name: Type.String(),
  role: roleSchema,
  self: Type.Boolean(),
  status: Type.Union([Type.Literal('active'), Type.Literal('revoked')]),
  online: Type.Boolean(),
  last_seen_at: Type.Union([timeSchema, Type.Null()]),
  summary: Type.Union([Type.String(), Type.Null()]),
  activity: Type.Union([Type.String(), Type.Null()]),
})
export const peersResponseSchema = Type.Object({
  peers: Type.Array(peerSchema),
  /** When the list was last read from the broker; null: never. */
  synced_at: Type.Union([timeSchema, Type.Null()]),
})

export const profileRequestSchema = Type.Object(
  {
    summary: Type.Optional(Type.Union([Type.String({ maxLength: 512 }), Type.Null()])),
    status: Type.Optional(Type.Union([Type.String({ maxLength: 128 }), Type.Null()])),
    visible: Type.Optional(Type.Boolean()),
  },
  closed,
)
export const profileResponseSchema = Type.Object({
  summary: Type.Union([Type.String(), Type.Null()]),
  status: Type.Union([Type.String(), Type.Null()]),
  visible: Type.Boolean(),
})

export const topicRequestSchema = Type.Object({ topic: Type.String({ minLength: 1, maxLength: 65 }) }, closed)
/** `wanted` is what this host asked for; `subscribed` is what the broker has confirmed. */
export const topicSchema = Type.Object({
  name: Type.String(),
  wanted: Type.Boolean(),
  subscribed: Type.Boolean(),
  subscribers: Type.Union([Type.Integer(), Type.Null()]),
})
export const topicListSchema = Type.Object({
  topics: Type.Array(topicSchema),
  synced_at: Type.Union([timeSchema, Type.Null()]),
})

export type Peer = Static<typeof peerSchema>
export type PeersResponse = Static<typeof peersResponseSchema>
export type ProfileRequest = Static<typeof profileRequestSchema>
export type ProfileResponse = Static<typeof profileResponseSchema>
export type TopicRequest = Static<typeof topicRequestSchema>
export type Topic = Static<typeof topicSchema>
export type TopicList = Static<typeof topicListSchema>
