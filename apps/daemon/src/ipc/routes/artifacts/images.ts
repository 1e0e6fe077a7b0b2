/** Packages as OCI image layouts: directories of this host, which the daemon writes and reads as the user that it is. */
import { isAbsolute } from 'node:path'
import { MeshError } from '@claudemesh/protocol'
import {
  exportedImageSchema,
  exportImageRequestSchema,
  importedImagesSchema,
  importImagesRequestSchema,
  packageParamsSchema,
} from '@claudemesh/protocol/artifacts'
import type { App } from '../../app.ts'
import { clientGone } from '../../raw-body.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const tags = ['artifacts']

export function imageRoutes(app: App, { store, actor, room, stopping }: ArtifactRouteOptions): void {
  app.post(
    '/v1/artifacts/packages/:id/image',
    {
      schema: {
        tags,
        summary: 'Write a finalized package and its signatures into a new directory, as an OCI image layout',
        params: packageParamsSchema,
        body: exportImageRequestSchema,
        response: { 201: exportedImageSchema },
      },
    },
    async ({ params, body }, reply) => {
      assertAbsolute(body.directory)
      const { digest } = await store.use((registry) => registry.exportOci(params.id, body))
      return reply.code(201).send({ package_id: params.id, image_digest: digest })
    },
  )
  app.post(
    '/v1/artifacts/images',
    {
      schema: {
        tags,
        summary: 'Make a finalized package of each image of an OCI image layout: of all of them, or of none',
        body: importImagesRequestSchema,
        response: { 201: importedImagesSchema },
      },
    },
    async ({ body }, reply) => {
      const { directory, producer, retention_class: retentionClass, ref, path_policy: pathPolicy } = body
      assertAbsolute(directory)
      room.assertFits(0)
      const signal = AbortSignal.any([stopping, clientGone(reply)])
      const options = {
        ...{ producer, retentionClass, actor, signal },
        ...(ref === undefined ? {} : { ref }),
        ...(pathPolicy === undefined ? {} : { pathPolicy }),
      }
      const imported = await store.use((registry) => registry.importOci(directory, options))
      await room.measure()
      const packages = imported.map((one) => ({
        package_id: one.packageId,
        manifest_digest: one.manifestDigest,
        imported_from: one.importedFrom,
        ref: one.ref,
      }))
      return reply.code(201).send({ packages })
    },
  )
}

/** The daemon's own working directory is nobody else's. @throws MeshError `invalid_request` */
function assertAbsolute(directory: string): void {
  if (isAbsolute(directory) && !directory.includes('\0')) return
  throw new MeshError('invalid_request', { detail: '`directory` is an absolute path', data: { field: 'directory' } })
}
