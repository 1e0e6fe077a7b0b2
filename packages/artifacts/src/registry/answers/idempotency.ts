/** The first answer for whoever asks again with the same key (06 §6, §11). */
import { ArtifactError } from '../../artifact-error.ts'
import { encodeCanonical } from '../../canon/cbor.ts'
import { canonicalizeJson } from '../../canon/jcs.ts'
import type { CanonicalValue } from '../../canon/value.ts'
import type { Session, Tx } from '../../db/spi.ts'
import { getAlgorithm } from '../../identity/algorithms.ts'
import { checkIdempotencyKey } from '../input.ts'
import { findAnswer, keepAnswer, takeKey } from './statements.ts'

/** How long a key is known. */
export const answersMsMax = 7 * 24 * 3_600_000

/** What may be asked again: with the same key and the same request it is done once, and answered as it was then. */
export interface Repeatable {
  readonly idempotencyKey?: string
}

/** @throws ArtifactError `invalid_request` */
export function keyOf({ idempotencyKey }: Repeatable): string | null {
  return idempotencyKey === undefined ? null : checkIdempotencyKey(idempotencyKey)
}

/** What an operation is asked for with; null: the caller does not ask again. */
export interface Asked {
  readonly key: string | null
  readonly operation: string
  /** Everything that makes it this request and no other. */
  readonly request: CanonicalValue
  readonly now: number
}

/** What an answer is made of, so that it can be kept. */
export type Answer = Readonly<Record<string, string | number | boolean | null>>

/**
 * Gives the answer that the key has, or runs the operation and keeps its answer in the same transaction.
 *
 * @throws ArtifactError `idempotency_key_reused`: the key was used for another request
 */
export async function answerOnce<T extends Answer>(tx: Tx, asked: Asked, run: () => Promise<T>): Promise<T> {
  const { key, now } = asked
  if (key === null) return run()
  const since = now - answersMsMax
  const fingerprint = fingerprintOf(asked)
  const isFree =
    (await findAnswer(tx, key, since)) === null && (await takeKey(tx, { key, fingerprint, at: now, since }))
  if (isFree) {
    const answer = await run()
    await keepAnswer(tx, key, Buffer.from(canonicalizeJson({ ...answer })).toString('utf8'))
    return answer
  }
  const kept = await findAnswer(tx, key, since)
  if (kept === null || Buffer.compare(kept.fingerprint, fingerprint) !== 0) {
    throw reused()
  }
  return JSON.parse(kept.response) as T
}

/**
 * The answer that a key has.
 *
 * @returns null: it has none yet
 * @throws ArtifactError `idempotency_key_reused`
 */
export async function findKeptAnswer<T extends Answer>(session: Session, asked: Asked): Promise<T | null> {
  const kept = asked.key === null ? null : await findAnswer(session, asked.key, asked.now - answersMsMax)
  if (kept === null) return null
  if (Buffer.compare(kept.fingerprint, fingerprintOf(asked)) !== 0) throw reused()
  return JSON.parse(kept.response) as T
}

function reused(): ArtifactError {
  return new ArtifactError('idempotency_key_reused', { detail: 'The key was used for another request.' })
}

function fingerprintOf({ operation, request }: Asked): Uint8Array {
  const hasher = getAlgorithm('blake3').create()
  hasher.update(encodeCanonical([operation, request]))
  return hasher.digest()
}
