/** `/v1/artifacts/uploads`: files that come in pieces, and go on after whatever broke them off (06 §12). */
import { MeshError } from '@claudemesh/protocol'
import { ingestedFileSchema, newUploadSchema, packageParamsSchema, uploadSchema } from '@claudemesh/protocol/artifacts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { toIngestedView, toNewUpload, toUploadView } from '../../../artifacts/views.ts'
import type { App } from '../../app.ts'
import { announcedLength, clientGone, endRefusedBody, rawBody, takeRawBodies } from '../../raw-body.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const tags = ['artifacts']
const bytesType = 'application/octet-stream'

export async function uploadRoutes(app: App, o: ArtifactRouteOptions): Promise<void> {
  beginRoute(app, o)
  lookRoute(app, o)
  // In a scope of its own: bodies are bytes here and nowhere else.
  await app.register(async (scope) => {
    takeRawBodies(scope as App)
    appendRoute(scope as App, o)
  })
  endRoutes(app, o)
}

function beginRoute(app: App, { store, actor }: ArtifactRouteOptions): void {
  app.post(
    '/v1/artifacts/packages/:id/uploads',
    {
      schema: {
        tags,
        summary: 'Begin to put a file into an open package in pieces',
        params: packageParamsSchema,
        body: newUploadSchema,
        response: { 201: uploadSchema },
      },
    },
    async ({ params, body }, reply) => {
      const wanted = { ...toNewUpload(body), actor }
      const upload = await store.use((registry) => registry.createUpload(params.id, wanted))
      return tell(reply.code(201).header('location', `/v1/artifacts/uploads/${upload.uploadId}`), upload)
    },
  )
}

function lookRoute(app: App, { store }: ArtifactRouteOptions): void {
  app.get(
    '/v1/artifacts/uploads/:id',
    {
      schema: {
        tags,
        summary: 'How far an upload is; to HEAD too, as Upload-Offset',
        params: packageParamsSchema,
        response: { 200: uploadSchema },
      },
    },
    async ({ params }, reply) => {
      const upload = await store.use((registry) => registry.uploadStatus(params.id))
      return tell(reply.header('cache-control', 'no-store'), upload)
    },
  )
}

function appendRoute(app: App, { store, room }: ArtifactRouteOptions): void {
  app.patch(
    '/v1/artifacts/uploads/:id',
    {
      schema: {
        tags,
        summary: 'Append bytes at `Upload-Offset`; answered when they are durable',
        description: 'What came before a connection broke stays; GET tells how much.',
        consumes: [bytesType],
        params: packageParamsSchema,
        response: { 200: uploadSchema },
      },
    },
    async (request, reply) => {
      endRefusedBody(request, reply)
      room.assertFits(announcedLength(request) ?? 0)
      const offset = readOffset(request)
      const source = room.within(rawBody(request, reply))
      const appended = { offset, source, signal: clientGone(reply) }
      return tell(reply, await store.use((registry) => registry.appendUpload(request.params.id, appended)))
    },
  )
}

function endRoutes(app: App, { store, actor, room }: ArtifactRouteOptions): void {
  app.post(
    '/v1/artifacts/uploads/:id/complete',
    {
      schema: {
        tags,
        summary: 'There are no more bytes: the file is put into its package; repeating it changes nothing',
        params: packageParamsSchema,
        response: { 201: ingestedFileSchema },
      },
    },
    async ({ params }, reply) => {
      const file = await store.use((registry) => registry.completeUpload(params.id, { actor }))
      if (!file.deduplicated) room.taken(file.sizeBytes)
      return reply.code(201).header('location', `/v1/artifacts/files/${file.fileId}`).send(toIngestedView(file))
    },
  )
  app.delete(
    '/v1/artifacts/uploads/:id',
    { schema: { tags, summary: 'Drop an upload and its bytes', params: packageParamsSchema } },
    async ({ params }, reply) => {
      await store.use((registry) => registry.abortUpload(params.id))
      return reply.code(204).send()
    },
  )
}

/** @throws MeshError `invalid_request` */
function readOffset({ headers }: FastifyRequest): number {
  const header = String(headers['upload-offset'])
  if (/^[0-9]{1,15}$/.test(header)) return Number(header)
  throw new MeshError('invalid_request', {
    detail: '`Upload-Offset` in the headers is the number of the byte with which the body begins',
    data: { field: 'Upload-Offset' },
  })
}

function tell(reply: FastifyReply, upload: Parameters<typeof toUploadView>[0]): FastifyReply {
  return reply.header('upload-offset', String(upload.offset)).send(toUploadView(upload))
}
