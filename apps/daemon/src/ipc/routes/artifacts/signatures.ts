/** Signatures of packages: made with the key of this daemon's member, judged by what it knows of the others (06 §14). */
import { judgedSignaturesSchema, packageParamsSchema, signedPackageSchema } from '@claudemesh/protocol/artifacts'
import type { App } from '../../app.ts'
import type { ArtifactRouteOptions } from './route-options.ts'

const tags = ['artifacts']
const envelopeMediaType = 'application/vnd.dsse.envelope.v1+json'

export function signatureRoutes(app: App, { store, actor, signer }: ArtifactRouteOptions): void {
  const path = '/v1/artifacts/packages/:id/signatures'
  app.post(
    path,
    {
      schema: {
        tags,
        summary: 'Sign a finalized package as this member; repeating it changes nothing',
        params: packageParamsSchema,
        response: { 200: signedPackageSchema },
      },
    },
    async ({ params }) => {
      const signed = await store.use((registry) => registry.sign(params.id, { keys: signer.keys(), actor }))
      const { packageId, keyId, manifestDigest, isNew } = signed
      return { package_id: packageId, manifest_digest: manifestDigest, key_id: keyId, is_new: isNew }
    },
  )
  app.get(
    path,
    {
      schema: {
        tags,
        summary: 'Each signature of a finalized package, judged now',
        params: packageParamsSchema,
        response: { 200: judgedSignaturesSchema },
      },
    },
    async ({ params }) => {
      const judged = await store.use((registry) => registry.verifySignatures(params.id, signer.standing))
      const signatures = judged.map(({ keyId, verdict }) => ({ key_id: keyId, verdict }))
      return { package_id: params.id, signatures }
    },
  )
  app.get(
    `${path}/envelope`,
    {
      schema: {
        tags,
        summary: 'The manifest and its signatures as a DSSE envelope',
        params: packageParamsSchema,
        produces: [envelopeMediaType],
      },
    },
    async ({ params }, reply) => {
      const { buffer, byteOffset, byteLength } = await store.use((registry) => registry.getEnvelope(params.id))
      return reply.type(envelopeMediaType).send(Buffer.from(buffer, byteOffset, byteLength))
    },
  )
}
