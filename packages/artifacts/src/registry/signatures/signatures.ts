/** Signatures of finalized packages (06 §14): beside the manifest, never in it. */
import type { SigningKeyPair } from '@claudemesh/identity'
import { ArtifactError } from '../../artifact-error.ts'
import type { EventLog } from '../../events/event-log.ts'
import type { ContentAddress } from '../../identity/content-address.ts'
import {
  type JudgedSignature,
  type KeyLookUp,
  manifestMediaType,
  type PayloadSignature,
  signManifest,
  verifyManifestEnvelope,
} from '../../sign/dsse.ts'
import { encodeEnvelope } from '../../sign/envelope-json.ts'
import { checkActor } from '../input.ts'
import { requirePackage } from '../package.ts'
import type { Reading } from '../reading.ts'
import { findSignature, listSignatures } from './statements.ts'

// A type, not an interface: it is what a route answers with.
export type SignedPackage = {
  readonly packageId: string
  readonly keyId: string
  readonly manifestDigest: ContentAddress
  /** False: this key had signed it before. */
  readonly isNew: boolean
}

export class Signatures {
  readonly #log: EventLog
  readonly #reading: Reading

  constructor(o: { readonly log: EventLog; readonly reading: Reading }) {
    this.#log = o.log
    this.#reading = o.reading
  }

  /** Signs the manifest of a package with a key of a member. @throws ArtifactError `package_not_found`, `not_finalized` */
  async sign(packageId: string, o: { readonly keys: SigningKeyPair; readonly actor: string }): Promise<SignedPackage> {
    const actor = checkActor(o.actor)
    const { keyId, signature } = signManifest(await this.#reading.getManifestBytes(packageId, 'cbor'), o.keys)
    return this.#log.submit({
      packageIds: [packageId],
      run: async (tx) => {
        const { manifest_digest } = await requirePackage(tx, packageId)
        if (manifest_digest === null) throw new ArtifactError('not_finalized')
        const signed = { packageId, keyId, manifestDigest: manifest_digest as ContentAddress }
        if ((await findSignature(tx, packageId, keyId)) !== null) return { ...signed, isNew: false }
        const payload = {
          package_id: packageId,
          manifest_digest,
          payload_type: manifestMediaType,
          key_id: keyId,
          signature: Buffer.from(signature).toString('hex'),
        }
        const subject = { subject_kind: 'package' as const, subject_id: packageId, actor }
        await this.#log.write(tx, [{ event_type: 'v1.package.signed', ...subject, payload }])
        return { ...signed, isNew: true }
      },
    })
  }

  /**
   * Judges each signature of a package, in the order of their keys.
   *
   * @param lookUp whose a key is, and whether it still counts
   * @throws ArtifactError `package_not_found`, `not_finalized`; errors of the look-up
   */
  async verify(packageId: string, lookUp: KeyLookUp): Promise<readonly JudgedSignature[]> {
    const { payload, signatures } = await this.read(packageId)
    return verifyManifestEnvelope({ payloadType: manifestMediaType, payload, signatures }, lookUp)
  }

  /**
   * The manifest and its signatures as a DSSE envelope in JSON.
   *
   * @throws ArtifactError `package_not_found`, `not_finalized`, `not_signed`
   */
  async envelope(packageId: string): Promise<Uint8Array> {
    const { payload, signatures } = await this.read(packageId)
    if (signatures.length === 0) throw new ArtifactError('not_signed')
    return encodeEnvelope({ payloadType: manifestMediaType, payload, signatures })
  }

  /** The bytes of the manifest, and who signed them. @throws ArtifactError `package_not_found`, `not_finalized` */
  async read(
    packageId: string,
  ): Promise<{ readonly payload: Uint8Array; readonly signatures: readonly PayloadSignature[] }> {
    const payload = await this.#reading.getManifestBytes(packageId, 'cbor')
    const rows = await this.#log.read((session) => listSignatures(session, packageId))
    const signatures = rows.map((row) => ({ keyId: row.key_id, signature: Buffer.from(row.signature, 'hex') }))
    return { payload, signatures }
  }
}
