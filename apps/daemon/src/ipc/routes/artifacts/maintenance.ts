/** `/v1/artifacts/maintenance/*`: looking after the store. The daemon does so by itself; these do it now. */
import { MeshError } from '@claudemesh/protocol'
import {
  collectionSchema,
  collectRequestSchema,
  replayedSchema,
  replayRequestSchema,
  scrubbedSchema,
  scrubRequestSchema,
  sweptSchema,
  type VerifyRequest,
  verifiedSchema,
  verifyRequestSchema,
} from '@claudemesh/protocol/artifacts'
import { toCollectionView, toLocationViews } from '../../../artifacts/views.ts'
import type { App } from '../../app.ts'
import { clientGone } from '../../raw-body.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const tags = ['artifacts']
const base = '/v1/artifacts/maintenance'

export function maintenanceRoutes(app: App, o: ArtifactRouteOptions): void {
  retentionSteps(app, o)
  readingSteps(app, o)
  replayStep(app, o)
}

function retentionSteps(app: App, { store, actor, room, upkeep }: ArtifactRouteOptions): void {
  app.post(
    `${base}/sweep`,
    {
      schema: {
        tags,
        summary: 'Mark packages that are past their expiry; nothing is deleted',
        response: { 200: sweptSchema },
      },
    },
    async () => ({ marked: [...(await upkeep.sweep(actor))] }),
  )
  app.post(
    `${base}/gc`,
    {
      schema: {
        tags,
        summary: 'Release what marked and aborted packages hold, and delete bytes to which nothing refers',
        body: collectRequestSchema,
        response: { 200: collectionSchema },
      },
    },
    async ({ body }) => {
      const dryRun = body.dry_run === true
      const collection = await store.use((registry) => registry.gc({ actor, dryRun }))
      if (!dryRun) await room.measure()
      return toCollectionView(collection)
    },
  )
}

function readingSteps(app: App, { store, actor, stopping }: ArtifactRouteOptions): void {
  app.post(
    `${base}/verify`,
    {
      schema: {
        tags,
        summary: 'Read every byte of a package or a file again, and write down what is found',
        body: verifyRequestSchema,
        response: { 200: verifiedSchema },
      },
    },
    async ({ body }, reply) => {
      const what = verified(body)
      const signal = AbortSignal.any([stopping, clientGone(reply)])
      return {
        locations: toLocationViews(await store.use((registry) => registry.verify({ ...what, actor, signal }))),
      }
    },
  )
  app.post(
    `${base}/scrub`,
    {
      schema: {
        tags,
        summary: 'Read stored bytes again, oldest first, from where the last scrub came to',
        body: scrubRequestSchema,
        response: { 200: scrubbedSchema },
      },
    },
    async ({ body }, reply) => {
      const { bytes_per_second: bytesPerSecond = Number.POSITIVE_INFINITY, objects_max: objectsMax } = body
      const signal = AbortSignal.any([stopping, clientGone(reply)])
      const options = { actor, signal, bytesPerSecond, ...(objectsMax === undefined ? {} : { objectsMax }) }
      const { changed, ...counts } = await store.use((registry) => registry.scrub(options))
      return { ...counts, changed: toLocationViews(changed) }
    },
  )
}

/** @throws MeshError `invalid_request`: both, or neither */
function verified(body: VerifyRequest): { readonly packageId: string } | { readonly fileId: string } {
  const { package_id: packageId, file_id: fileId } = body
  if (packageId !== undefined && fileId === undefined) return { packageId }
  if (fileId !== undefined && packageId === undefined) return { fileId }
  throw new MeshError('invalid_request', { detail: 'The body names one of `package_id` and `file_id`' })
}

function replayStep(app: App, { store }: ArtifactRouteOptions): void {
  app.post(
    `${base}/replay`,
    {
      schema: {
        tags,
        summary: 'Compute what can be asked anew from the log of events, checking the log',
        body: replayRequestSchema,
        response: { 200: replayedSchema },
      },
    },
    async ({ body }) => {
      const upTo = body.up_to === undefined ? {} : { upTo: body.up_to }
      return await store.use((registry) => registry.replay(upTo))
    },
  )
}
