/** The written form of an envelope: JSON, as other tools read and write it. */
import { type Static, Type } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { ArtifactError } from '../artifact-error.ts'
import { canonicalizeJson } from '../canon/jcs.ts'
import { manifestBytesMax } from '../canon/value.ts'
import type { DsseEnvelope } from './dsse.ts'

/** Base64 of the largest manifest, and some thousand signatures. */
const envelopeBytesMax = Math.ceil(manifestBytesMax / 3) * 4 + 1024 * 1024

// Other members are allowed, and ignored: the form is not ours alone.
const envelopeSchema = Type.Object({
  payload: Type.String(),
  payloadType: Type.String({ minLength: 1, maxLength: 256 }),
  // Without a key id nobody could be asked about the key. Other signers leave it out.
  signatures: Type.Array(Type.Object({ keyid: Type.Optional(Type.String({ maxLength: 256 })), sig: Type.String() }), {
    minItems: 1,
    maxItems: 1024,
  }),
})

/** The envelope as canonical JSON, its bytes in base64. */
export function encodeEnvelope(envelope: DsseEnvelope): Uint8Array {
  return canonicalizeJson({
    payload: base64(envelope.payload),
    payloadType: envelope.payloadType,
    signatures: envelope.signatures.map(({ keyId, signature }) => ({ keyid: keyId, sig: base64(signature) })),
  })
}

let validator: Validator | null = null

/**
 * Reads an envelope, its base64 in either alphabet, as DSSE asks of readers.
 *
 * @throws ArtifactError `invalid_envelope`
 */
export function decodeEnvelope(bytes: Uint8Array): DsseEnvelope {
  if (bytes.length > envelopeBytesMax) throw invalidEnvelope('It is too large.')
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw invalidEnvelope('It is not JSON in UTF-8.', cause)
  }
  validator ??= Compile(envelopeSchema)
  if (!validator.Check(value)) throw invalidEnvelope('It has not the members payload, payloadType and signatures.')
  const { payload, payloadType, signatures } = value as Static<typeof envelopeSchema>
  return {
    payloadType,
    payload: readBase64(payload),
    signatures: signatures.map(({ keyid = '', sig }) => ({ keyId: keyid, signature: readBase64(sig) })),
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

/** One spelling for each value in either alphabet: decoders that skip what they do not know would let two pass. */
function readBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  const standard = text.replaceAll('-', '+').replaceAll('_', '/')
  const padded = standard.padEnd(Math.ceil(standard.length / 4) * 4, '=')
  if (bytes.toString('base64') !== padded) throw invalidEnvelope('It holds what is not base64.')
  return bytes
}

function invalidEnvelope(detail: string, cause?: unknown): ArtifactError {
  return new ArtifactError('invalid_envelope', { detail: `This is no DSSE envelope. ${detail}`, cause })
}
