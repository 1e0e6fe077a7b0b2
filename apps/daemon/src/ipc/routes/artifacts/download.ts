/** `GET` and `HEAD` of the bytes of files, by their file or by their content. */
import type { PackageFile } from '@claudemesh/artifacts'
import { blobParamsSchema, fileParamsSchema } from '@claudemesh/protocol/artifacts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ArtifactStore } from '../../../artifacts/artifact-store.ts'
import type { App } from '../../app.ts'
import { answerWithBytes } from '../../byte-answer.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const bytesAnswer = {
  description: 'The bytes, or with `Range` some of them',
  content: { 'application/octet-stream': { schema: { type: 'string' } } },
}

export function downloadRoutes(app: App, { store }: ArtifactRouteOptions): void {
  for (const method of ['GET', 'HEAD']) {
    // Whoever reads of GET knows of HEAD.
    const common = { tags: ['artifacts'], hide: method === 'HEAD', response: { 200: bytesAnswer, 206: bytesAnswer } }
    app.route({
      method,
      url: '/v1/artifacts/files/:id/download',
      exposeHeadRoute: false,
      schema: { ...common, summary: 'The bytes of a file, all or a range', params: fileParamsSchema },
      handler: async (request, reply) => {
        const file = await store.use((registry) => registry.findFile(request.params.id))
        return sendFile(request, reply, { store, file })
      },
    })
    app.route({
      method,
      url: '/v1/artifacts/blobs/:address',
      exposeHeadRoute: false,
      schema: { ...common, summary: 'The bytes with this content address, all or a range', params: blobParamsSchema },
      handler: async (request, reply) => {
        const file = await store.use((registry) => registry.resolve({ address: request.params.address }))
        return sendFile(request, reply, { store, file })
      },
    })
  }
}

/** @throws MeshError `range_not_satisfiable`, `object_missing`, `object_corrupt`, `restore_required` */
function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  { store, file }: { readonly store: ArtifactStore; readonly file: PackageFile },
): Promise<FastifyReply> {
  return answerWithBytes(request, reply, {
    address: file.contentAddress,
    sizeBytes: file.sizeBytes,
    sha256: file.sha256,
    mediaType: file.mediaType,
    fileName: file.relativePath.slice(file.relativePath.lastIndexOf('/') + 1),
    read: async (o) => (await store.use((registry) => registry.getFile(file.fileId, o))).body,
  })
}
