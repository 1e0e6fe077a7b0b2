/** `/v1/file/*`: a checked request in, what sharing answers out (06 §16). */
import type { PackageFile } from '@claudemesh/artifacts'
import { isUlid, MeshError, shareHeadersSchema } from '@claudemesh/protocol'
import {
  fileGetQuerySchema,
  type ShareQuery,
  type ShareRequest,
  type ShareResponse,
  shareListQuerySchema,
  shareListSchema,
  shareQuerySchema,
  shareRequestSchema,
  shareResponseSchema,
  shareRevokeRequestSchema,
  shareViewSchema,
} from '@claudemesh/protocol/artifacts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { readClientMessageId } from '../../send/content.ts'
import type { ShareFetcher } from '../../shares/share-fetcher.ts'
import type { CreatedShare, ShareFiles } from '../../shares/share-files.ts'
import type { ShareStore } from '../../shares/share-store.ts'
import { toShareView } from '../../shares/views.ts'
import type { App, RouteFamily } from '../app.ts'
import { answerWithBytes } from '../byte-answer.ts'
import { clientGone, endRefusedBody, rawBody } from '../raw-body.ts'

const bytesAnswer = {
  description: 'The bytes, or with `Range` some of them',
  content: { 'application/octet-stream': { schema: { type: 'string' } } },
}

export interface FileRouteOptions {
  readonly files: ShareFiles
  readonly fetcher: Pick<ShareFetcher, 'fetch'>
  readonly store: ShareStore
  /** Of a member, from the directory; null: it is not there. */
  readonly nameOf: (memberId: string) => string | null
}

export function fileRoutes(o: FileRouteOptions): RouteFamily {
  return async (app) => {
    // In a scope of its own: here a body that is no JSON is what is to be shared, and read as it comes.
    await app.register(async (scope) => shareRoute(scope as App, o))
    app.get(
      '/v1/file/list',
      {
        schema: {
          tags: ['files'],
          summary: 'What is shared with others and by others, in the order of the ids',
          querystring: shareListQuerySchema,
          response: { 200: shareListSchema },
        },
      },
      async ({ query }) => {
        const { items, next } = await o.files.list(query)
        return { shares: items.map((share) => toShareView(share, o.nameOf)), next }
      },
    )
    app.post(
      '/v1/file/revoke',
      {
        schema: {
          tags: ['files'],
          summary:
            'Do nothing more for a share: one that was not sent stays here, one that was not fetched is not fetched',
          body: shareRevokeRequestSchema,
          response: { 200: shareViewSchema },
        },
      },
      async ({ body }) => toShareView(await o.files.revoke(body.share_id, body.reason), o.nameOf),
    )
    for (const method of ['GET', 'HEAD']) {
      app.route({
        method,
        url: '/v1/file/get',
        exposeHeadRoute: false,
        schema: {
          tags: ['files'],
          // Whoever reads of GET knows of HEAD.
          hide: method === 'HEAD',
          summary: 'The bytes of a share, a file, a file of a package, or a content; a received share is fetched first',
          querystring: fileGetQuerySchema,
          response: { 200: bytesAnswer, 206: bytesAnswer },
        },
        handler: async (request, reply) => {
          const file = await findFile(o, request.query)
          return answerWithBytes(request, reply, {
            address: file.contentAddress,
            sizeBytes: file.sizeBytes,
            sha256: file.sha256,
            mediaType: file.mediaType,
            fileName: file.relativePath.slice(file.relativePath.lastIndexOf('/') + 1),
            read: async (wanted) => (await o.store.use((registry) => registry.getFile(file.fileId, wanted))).body,
          })
        },
      })
    }
  }
}

function shareRoute(app: App, { files }: FileRouteOptions): void {
  app.addContentTypeParser('*', (_request, _body, done) => done(null, undefined))
  app.post(
    '/v1/file/share',
    {
      schema: {
        tags: ['files'],
        summary: 'Share a file, a directory or a package; the answer is given when the share is kept',
        description: 'A body that is no JSON is the file itself, with the other members as the query',
        body: { content: { 'application/json': { schema: shareRequestSchema } } },
        headers: shareHeadersSchema,
        querystring: shareQuerySchema,
        response: { 202: shareResponseSchema },
      },
    },
    async (request, reply) => {
      // Checked where it is JSON, and left unread where it is not.
      const body = request.body as ShareRequest | null | undefined
      const created =
        body === null || body === undefined
          ? await shareBody(files, { request, reply, query: request.query })
          : await files.share(withoutQuery(body, request.query), keyOf(request, body.client_message_id))
      return reply.code(202).send(toResponse(created))
    },
  )
}

async function shareBody(
  files: ShareFiles,
  { request, reply, query }: { request: FastifyRequest; reply: FastifyReply; query: ShareQuery },
): Promise<CreatedShare> {
  const { to } = query
  if (to === undefined) {
    throw new MeshError('invalid_request', {
      detail: '`to` in the query says whom a body that is no JSON is shared with',
      data: { field: 'to' },
    })
  }
  endRefusedBody(request, reply)
  const key = keyOf(request, query.client_message_id)
  const [mediaType = ''] = (request.headers['content-type'] ?? '').split(';')
  return files.shareBody({ ...query, to }, key, {
    source: rawBody(request, reply),
    mediaType: mediaType.trim().toLowerCase() || 'application/octet-stream',
    signal: clientGone(reply),
  })
}

/** @throws MeshError `invalid_request`: the request says it twice */
function withoutQuery(body: ShareRequest, query: ShareQuery): ShareRequest {
  if (Object.keys(query).length === 0) return body
  throw new MeshError('invalid_request', {
    detail: 'A request with a JSON body has no query',
    data: { field: 'query' },
  })
}

/** The header wins over the field. */
function keyOf({ headers }: FastifyRequest, field: string | undefined): string | null {
  const header = headers['idempotency-key']
  return readClientMessageId(header === undefined ? null : String(header), field)
}

function toResponse({ share, sha256 }: CreatedShare): ShareResponse {
  const { shareId, packageId, fileId, contentAddress, sizeBytes, clientMessageId, status } = share
  if (packageId === null || clientMessageId === null)
    throw new Error('a share that was created has a package and a message')
  return {
    share_id: shareId,
    package_id: packageId,
    ...(fileId === null ? {} : { file_id: fileId }),
    content_address: contentAddress,
    sha256,
    size_bytes: sizeBytes,
    client_message_id: clientMessageId,
    status,
  }
}

/** @throws MeshError `share_not_found`, `share_expired`, `share_corrupt`, `file_not_found`, `invalid_request`, … */
async function findFile(
  { store, fetcher }: FileRouteOptions,
  { id, path }: { readonly id: string; readonly path?: string },
): Promise<PackageFile> {
  if (!isUlid(id)) return store.use((registry) => registry.resolve({ address: id }))
  const share = await store.use(({ shares }) => shares.find(id)).catch(noneIf('share_not_found'))
  if (share === null) {
    if (path !== undefined) return store.use((registry) => registry.resolve({ packageId: id, path }))
    return store.use((registry) => registry.findFile(id))
  }
  const { packageId, fileId } = share.direction === 'received' ? await fetcher.fetch(id) : share
  if (fileId !== null) return store.use((registry) => registry.findFile(fileId))
  if (packageId === null) throw new MeshError('share_not_found')
  if (path === undefined) {
    throw new MeshError('invalid_request', {
      detail: 'The share is a package: `path` says which file of it',
      data: { field: 'path', package_id: packageId },
    })
  }
  return store.use((registry) => registry.resolve({ packageId, path }))
}

function noneIf(code: string): (error: unknown) => null {
  return (error) => {
    if (error instanceof MeshError && error.code === code) return null
    throw error
  }
}
