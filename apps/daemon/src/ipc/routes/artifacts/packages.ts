/** `/v1/artifacts/packages`: making packages, finding them, sealing them, and their manifests. */
import {
  abortRequestSchema,
  artifactPackageSchema,
  finalizedSchema,
  finalizeRequestSchema,
  newPackageSchema,
  packageListQuerySchema,
  packageListSchema,
  packageParamsSchema,
  shownPackageSchema,
} from '@claudemesh/protocol/artifacts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { toNewPackage, toPackageFilter, toPackageView, toShownPackage } from '../../../artifacts/views.ts'
import type { App } from '../../app.ts'
import { isKnown } from '../../byte-answer.ts'
import { readIdempotencyKey } from '../../idempotency-key.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const tags = ['artifacts']

export function packageRoutes(app: App, o: ArtifactRouteOptions): void {
  createRoute(app, o)
  lookRoutes(app, o)
  sealRoutes(app, o)
  manifestRoutes(app, o)
}

function createRoute(app: App, { store, actor }: ArtifactRouteOptions): void {
  app.post(
    '/v1/artifacts/packages',
    {
      schema: {
        tags,
        summary: 'Make a package, which takes files until it is finalized or aborted',
        body: newPackageSchema,
        response: { 201: artifactPackageSchema },
      },
    },
    async (request, reply) => {
      const wanted = { ...toNewPackage(request.body), ...readIdempotencyKey(request), actor }
      const made = await store.use((registry) => registry.createPackage(wanted))
      return reply.code(201).header('location', `/v1/artifacts/packages/${made.packageId}`).send(toPackageView(made))
    },
  )
}

function lookRoutes(app: App, { store }: ArtifactRouteOptions): void {
  app.get(
    '/v1/artifacts/packages',
    {
      schema: {
        tags,
        summary: 'Packages, oldest first; `meta.<key>=<value>` asks for a member of the metadata',
        querystring: packageListQuerySchema,
        response: { 200: packageListSchema },
      },
    },
    async ({ query }) => {
      const { after, limit } = query
      const page = await store.use((registry) =>
        registry.listPackages({
          ...toPackageFilter(query),
          ...(after === undefined ? {} : { after }),
          ...(limit === undefined ? {} : { limit }),
        }),
      )
      return { packages: page.items.map(toPackageView), next: page.next }
    },
  )
  app.get(
    '/v1/artifacts/packages/:id',
    {
      schema: {
        tags,
        summary: 'One package, and how long it is kept',
        params: packageParamsSchema,
        response: { 200: shownPackageSchema },
      },
    },
    async ({ params }) => toShownPackage(await store.use((registry) => registry.getPackage(params.id))),
  )
}

function sealRoutes(app: App, { store, actor }: ArtifactRouteOptions): void {
  app.post(
    '/v1/artifacts/packages/:id/finalize',
    {
      schema: {
        tags,
        summary: 'Seal a package by its manifest, for ever; repeating it changes nothing',
        params: packageParamsSchema,
        body: finalizeRequestSchema,
        response: { 200: finalizedSchema },
      },
    },
    async ({ params, body }) => {
      const { verify, allow_empty: allowEmpty } = body
      const options = {
        actor,
        ...(verify === undefined ? {} : { verify }),
        ...(allowEmpty === undefined ? {} : { allowEmpty }),
      }
      const { manifestDigest, isNew } = await store.use((registry) => registry.finalizePackage(params.id, options))
      return { package_id: params.id, manifest_digest: manifestDigest, is_new: isNew }
    },
  )
  app.post(
    '/v1/artifacts/packages/:id/abort',
    {
      schema: {
        tags,
        summary: 'Give an open package up; its bytes go with the next garbage collection',
        params: packageParamsSchema,
        body: abortRequestSchema,
        response: { 200: shownPackageSchema },
      },
    },
    async (request) => {
      const { id } = request.params
      const asked = { ...request.body, ...readIdempotencyKey(request), actor }
      const aborted = await store.use(async (registry) => {
        await registry.abortPackage(id, asked)
        return registry.getPackage(id)
      })
      return toShownPackage(aborted)
    },
  )
}

const manifestForms = [
  { path: 'manifest', form: 'cbor', mediaType: 'application/cbor', what: 'as it is in the log' },
  { path: 'manifest.json', form: 'json', mediaType: 'application/json', what: 'as canonical JSON' },
] as const

function manifestRoutes(app: App, { store }: ArtifactRouteOptions): void {
  for (const { path, form, mediaType, what } of manifestForms) {
    app.get(
      `/v1/artifacts/packages/:id/${path}`,
      {
        schema: {
          tags,
          summary: `The manifest of a finalized package, ${what}`,
          params: packageParamsSchema,
          produces: [mediaType],
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const { bytes, digest } = await store.use(async (registry) => ({
          bytes: await registry.getManifestBytes(id, form),
          digest: (await registry.getPackage(id)).manifestDigest,
        }))
        return sendManifest(request, reply, { bytes, mediaType, tag: `"${digest}"` })
      },
    )
  }
}

function sendManifest(
  request: FastifyRequest,
  reply: FastifyReply,
  o: { readonly bytes: Uint8Array; readonly mediaType: string; readonly tag: string },
): FastifyReply {
  reply.headers({ etag: o.tag, 'cache-control': 'private, max-age=31536000, immutable' })
  if (isKnown(request, o.tag)) return reply.code(304).send()
  const { buffer, byteOffset, byteLength } = o.bytes
  return reply.type(o.mediaType).send(Buffer.from(buffer, byteOffset, byteLength))
}
