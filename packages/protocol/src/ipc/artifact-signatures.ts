/** `/v1/artifacts`: who has signed a package, and whether it counts (06 §14). */
import { type Static, Type } from 'typebox'
import { contentAddressSchema } from './artifacts.ts'
import { ulidSchema } from './schemas.ts'

const keyIdSchema = Type.String({ description: 'the Ed25519 public key that signed, in lower-case hexadecimal digits' })

/** `is_new` is false when this key had signed the package before. */
export const signedPackageSchema = Type.Object({
  package_id: ulidSchema,
  manifest_digest: contentAddressSchema,
  key_id: keyIdSchema,
  is_new: Type.Boolean(),
})

/**
 * `invalid`: the key did not sign this manifest. The others are said of keys that did: of a member, of nobody that this
 * daemon knows and believes, of a member that was revoked.
 */
const verdictSchema = Type.Union([
  Type.Literal('valid'),
  Type.Literal('invalid'),
  Type.Literal('unknown_key'),
  Type.Literal('revoked'),
])

/** In the order of the keys; none when nobody has signed. */
export const judgedSignaturesSchema = Type.Object({
  package_id: ulidSchema,
  signatures: Type.Array(Type.Object({ key_id: keyIdSchema, verdict: verdictSchema })),
})

export type SignedArtifactPackage = Static<typeof signedPackageSchema>
export type JudgedSignatures = Static<typeof judgedSignaturesSchema>
