/** `/v1/artifacts/packages/:id/files`, `/v1/artifacts/files/:id`: putting files into packages, and finding them. */
import type { ContentAddress, NewFile } from '@claudemesh/artifacts'
import { MeshError } from '@claudemesh/protocol'
import {
  artifactFileSchema,
  existingFileSchema,
  fileListQuerySchema,
  fileListSchema,
  fileParamsSchema,
  filePathParamsSchema,
  ingestedFileSchema,
  packageParamsSchema,
  putFileQuerySchema,
  removeFileQuerySchema,
} from '@claudemesh/protocol/artifacts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { mediaTypeDefault, toFileView, toIngestedView } from '../../../artifacts/views.ts'
import type { App } from '../../app.ts'
import { readSha256 } from '../../digest-header.ts'
import { readIdempotencyKey } from '../../idempotency-key.ts'
import { announcedLength, clientGone, endRefusedBody, rawBody, takeRawBodies } from '../../raw-body.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const tags = ['artifacts']

export async function fileRoutes(app: App, o: ArtifactRouteOptions): Promise<void> {
  // In a scope of its own: bodies are bytes here and nowhere else.
  await app.register(async (scope) => {
    takeRawBodies(scope as App)
    putRoute(scope as App, o)
  })
  existingRoute(app, o)
  lookRoutes(app, o)
  removeRoute(app, o)
}

function putRoute(app: App, { store, actor, room }: ArtifactRouteOptions): void {
  app.put(
    '/v1/artifacts/packages/:id/files/*',
    {
      schema: {
        tags,
        summary: 'Put a file into an open package: the body is its bytes, however many',
        description:
          'Content-Type becomes its media type; `Repr-Digest: sha-256=:<base64>:` is compared. A client that goes away leaves nothing.',
        consumes: [mediaTypeDefault],
        params: filePathParamsSchema,
        querystring: putFileQuerySchema,
        response: { 201: ingestedFileSchema },
      },
    },
    async (request, reply) => {
      const { id, '*': relativePath } = request.params
      endRefusedBody(request, reply)
      room.assertFits(announcedLength(request) ?? 0)
      const file: NewFile = {
        relativePath,
        ...describedBody(request),
        ...readIdempotencyKey(request),
        ...(request.query.replace === undefined ? {} : { replace: request.query.replace }),
        actor,
        source: room.within(rawBody(request, reply)),
        signal: clientGone(reply),
      }
      const ingested = await store.use((registry) => registry.ingestFile(id, file))
      if (!ingested.deduplicated) room.taken(ingested.sizeBytes)
      return created(reply, ingested)
    },
  )
}

/** What the headers say of the bytes that follow. @throws MeshError `invalid_request`, `unsupported_media_type` */
function describedBody(request: FastifyRequest): Pick<NewFile, 'mediaType' | 'expectedSha256' | 'sizeHint'> {
  const { headers } = request
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (coding !== 'identity') {
    throw new MeshError('unsupported_media_type', {
      detail: 'The body has a Content-Encoding; files are taken as they are',
      hint: 'Send the bytes of the file themselves, without Content-Encoding.',
    })
  }
  if (headers['content-range'] !== undefined) {
    throw new MeshError('invalid_request', {
      detail: 'A part of a file cannot be put; send all of it',
      data: { field: 'Content-Range' },
    })
  }
  const digest = headers['repr-digest']
  const expectedSha256 = digest === undefined ? null : readSha256([digest].flat().join(','))
  const sizeHint = announcedLength(request)
  return {
    mediaType: headers['content-type']?.split(';')[0]?.trim().toLowerCase() || mediaTypeDefault,
    ...(expectedSha256 === null ? {} : { expectedSha256 }),
    ...(sizeHint === null ? {} : { sizeHint }),
  }
}

function existingRoute(app: App, { store, actor }: ArtifactRouteOptions): void {
  app.post(
    '/v1/artifacts/packages/:id/files',
    {
      schema: {
        tags,
        summary: 'Put a file into an open package whose bytes are in the store already',
        params: packageParamsSchema,
        body: existingFileSchema,
        response: { 201: ingestedFileSchema },
      },
    },
    async (request, reply) => {
      const { relative_path: relativePath, content_address, media_type, ...same } = request.body
      const file = {
        ...same,
        ...readIdempotencyKey(request),
        relativePath,
        mediaType: media_type ?? mediaTypeDefault,
        actor,
      }
      const { id } = request.params
      // The store reads the address again, and says what is wrong with it.
      const contentAddress = content_address as ContentAddress
      return created(reply, await store.use((registry) => registry.addExisting(id, { ...file, contentAddress })))
    },
  )
}

function lookRoutes(app: App, { store }: ArtifactRouteOptions): void {
  app.get(
    '/v1/artifacts/packages/:id/files',
    {
      schema: {
        tags,
        summary: 'The files of a package, by their paths',
        params: packageParamsSchema,
        querystring: fileListQuerySchema,
        response: { 200: fileListSchema },
      },
    },
    async ({ params, query }) => {
      const page = await store.use((registry) => registry.listFiles(params.id, query))
      return { files: page.items.map(toFileView), next: page.next }
    },
  )
  app.get(
    '/v1/artifacts/files/:id',
    {
      schema: { tags, summary: 'One file', params: fileParamsSchema, response: { 200: artifactFileSchema } },
    },
    async ({ params }) => toFileView(await store.use((registry) => registry.findFile(params.id))),
  )
}

function removeRoute(app: App, { store, actor }: ArtifactRouteOptions): void {
  app.delete(
    '/v1/artifacts/files/:id',
    {
      schema: {
        tags,
        summary: 'Take a file out of an open package',
        params: fileParamsSchema,
        querystring: removeFileQuerySchema,
        response: { 200: artifactFileSchema },
      },
    },
    async (request) => {
      const { id } = request.params
      const asked = { ...request.query, ...readIdempotencyKey(request), actor }
      const removed = await store.use(async (registry) => {
        await registry.removeFile(id, asked)
        return registry.findFile(id)
      })
      return toFileView(removed)
    },
  )
}

function created(reply: FastifyReply, file: Parameters<typeof toIngestedView>[0]): FastifyReply {
  return reply.code(201).header('location', `/v1/artifacts/files/${file.fileId}`).send(toIngestedView(file))
}
