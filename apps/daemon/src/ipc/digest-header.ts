import { MeshError } from '@claudemesh/protocol'

const member = /^[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):[ \t]*$/

/**
 * The SHA-256 that a Repr-Digest header announces (RFC 9530), in lower-case hexadecimal digits; null when it names other
 * digests alone.
 *
 * @throws MeshError `invalid_request`
 */
export function readSha256(header: string): string | null {
  let sha256: string | null = null
  for (const text of header.split(',')) {
    const [, algorithm, base64 = ''] = member.exec(text) ?? []
    if (algorithm === undefined) throw refusal('is a list like `sha-256=:<base64>:`')
    if (algorithm !== 'sha-256') continue
    const bytes = Buffer.from(base64, 'base64')
    if (bytes.length !== 32 || bytes.toString('base64') !== base64) throw refusal('has a SHA-256 of 32 bytes in base64')
    sha256 = bytes.toString('hex')
  }
  return sha256
}

/** @param sha256 lower-case hexadecimal digits */
export function writeSha256(sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`
}

function refusal(rule: string): MeshError {
  return new MeshError('invalid_request', {
    detail: `\`Repr-Digest\` in the headers ${rule}`,
    data: { field: 'Repr-Digest' },
  })
}
