/** The SQL of first answers. */
import type { Session, Tx } from '../../db/spi.ts'

export interface AnswerRow {
  readonly fingerprint: Uint8Array
  readonly response: string
}

const selectAnswer = `
  SELECT fingerprint, response FROM idempotency_keys WHERE idempotency_key = $1 AND created_at > $2`

export async function findAnswer(session: Session, key: string, since: number): Promise<AnswerRow | null> {
  const [row] = await session.query<AnswerRow>(selectAnswer, [key, since])
  return row ?? null
}

const insertAnswer = `
  INSERT INTO idempotency_keys (idempotency_key, fingerprint, status, response, created_at) VALUES ($1, $2, 201, '{}', $3)
  ON CONFLICT (idempotency_key) DO UPDATE
    SET fingerprint = excluded.fingerprint, created_at = excluded.created_at
  WHERE idempotency_keys.created_at <= $4`

/**
 * Takes a key, over one that has expired; whoever else wants it waits for the end of this transaction.
 *
 * @returns whether it was free
 */
export async function takeKey(
  tx: Tx,
  o: { key: string; fingerprint: Uint8Array; at: number; since: number },
): Promise<boolean> {
  return (await tx.execute(insertAnswer, [o.key, o.fingerprint, o.at, o.since])) === 1
}

const updateAnswer = 'UPDATE idempotency_keys SET response = $2 WHERE idempotency_key = $1'

export async function keepAnswer(tx: Tx, key: string, response: string): Promise<void> {
  await tx.execute(updateAnswer, [key, response])
}

const deleteAnswers = 'DELETE FROM idempotency_keys WHERE created_at <= $1'

export async function forgetAnswers(tx: Tx, upTo: number): Promise<number> {
  return tx.execute(deleteAnswers, [upTo])
}
