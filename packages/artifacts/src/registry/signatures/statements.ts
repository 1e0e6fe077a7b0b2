/** The SQL of the signatures of packages. */
import type { Session } from '../../db/spi.ts'

export interface SignatureRow {
  readonly key_id: string
  /** Lower-case hexadecimal digits. */
  readonly signature: string
}

const selectSignatures = `
  SELECT key_id, signature FROM package_signatures WHERE package_id = $1 ORDER BY key_id`

export function listSignatures(session: Session, packageId: string): Promise<readonly SignatureRow[]> {
  return session.query(selectSignatures, [packageId])
}

const selectSignature = 'SELECT key_id, signature FROM package_signatures WHERE package_id = $1 AND key_id = $2'

export async function findSignature(session: Session, packageId: string, keyId: string): Promise<SignatureRow | null> {
  const [row] = await session.query<SignatureRow>(selectSignature, [packageId, keyId])
  return row ?? null
}
