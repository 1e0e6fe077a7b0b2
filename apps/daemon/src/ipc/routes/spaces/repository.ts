/** `/v1/decisions/*`: the repository that all spaces are in, and copies of it elsewhere. */
import { pulledSchema, pushedSchema, remoteRequestSchema, repositoryReportSchema } from '@claudemesh/protocol/spaces'
import { toFaultView } from '../../../spaces/views.ts'
import type { App } from '../../app.ts'
import { clientGone } from '../../raw-body.ts'
import type { SpaceRouteOptions } from './route-options.ts'

const tags = ['spaces']

export function repositoryRoutes(app: App, { spaces, stopping }: SpaceRouteOptions): void {
  app.post(
    '/v1/decisions/fsck',
    {
      schema: {
        tags,
        summary: 'Look through the whole repository, and read every decision again',
        response: { 200: repositoryReportSchema },
      },
    },
    async () => {
      const { problems, spaces: reports } = await spaces.use((log) => log.log.fsck())
      return {
        problems: [...problems],
        spaces: reports.map((report) => ({ ...report, damage: toFaultView(report.damage) })),
      }
    },
  )
  app.post(
    '/v1/decisions/push',
    {
      schema: {
        tags,
        summary: 'Push every space to another repository, each as far as it continues what is there',
        body: remoteRequestSchema,
        response: { 200: pushedSchema },
      },
    },
    async ({ body }, reply) => {
      const signal = AbortSignal.any([stopping, clientGone(reply)])
      return { spaces: [...(await spaces.use((log) => log.log.push(body.remote, signal)))] }
    },
  )
  app.post(
    '/v1/decisions/pull',
    {
      schema: {
        tags,
        summary: 'Take from another repository what continues the spaces here, and the spaces that are not here',
        body: remoteRequestSchema,
        response: { 200: pulledSchema },
      },
    },
    async ({ body }, reply) => {
      const signal = AbortSignal.any([stopping, clientGone(reply)])
      return { spaces: [...(await spaces.pull(body.remote, signal))] }
    },
  )
}
