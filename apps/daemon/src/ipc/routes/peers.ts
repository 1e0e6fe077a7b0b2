/** `GET /v1/peers`, `POST /v1/profile`. */
import { peersResponseSchema, profileRequestSchema, profileResponseSchema } from '@claudemesh/protocol'
import type { Members } from '../../members/members.ts'
import type { RouteFamily } from '../app.ts'
import { awaitConfirmation } from '../broker-confirmation.ts'

/** @param o.reconcile tells the broker of a changed profile */
export function peerRoutes(o: { members: Members; reconcile: () => Promise<void> }): RouteFamily {
  const { members, reconcile } = o
  return (app) => {
    app.get(
      '/v1/peers',
      { schema: { tags: ['peers'], summary: 'Members of the mesh', response: { 200: peersResponseSchema } } },
      async () => ({ peers: members.peers(), synced_at: members.syncedAt() }),
    )
    app.post(
      '/v1/profile',
      {
        schema: {
          tags: ['peers'],
          summary: 'Change what others see of this member; what is left out stays as it is',
          body: profileRequestSchema,
          response: { 200: profileResponseSchema },
        },
      },
      async ({ body }) => {
        const { summary, status, visible } = { ...members.profile(), ...body }
        members.setProfile({ summary, status, visible })
        await awaitConfirmation(reconcile)
        return members.profile()
      },
    )
  }
}
