/**
 * What the broker's result for one item does to its outbox row (02 §9). The first line that fits applies.
 *
 * - `status`   of the result; a class stands for all of its hundred
 * - `code`     of the result; null: any, or none
 * - `outcome`  accepted  the row is done
 *              reseal    the recipients changed, or are gone with their queue: the frozen bytes go, and it is sent again
 *                        at once
 *              retry     the row waits for its next attempt
 *              refused   the row is dead
 *
 * No answer, by time or by the end of the connection, is a retry too: the id tells the broker what it already has.
 */
import type { SendResult } from '@claudemesh/protocol'

export type SendOutcome = 'accepted' | 'reseal' | 'retry' | 'refused'

interface OutcomeRule {
  readonly status: number | '4xx' | '5xx'
  readonly code: string | null
  readonly outcome: SendOutcome
}

// biome-ignore format: a table
const outcomeTable: readonly OutcomeRule[] = [
  { status: 201,   code: null,                     outcome: 'accepted' },
  { status: 200,   code: null,                     outcome: 'accepted' },
  { status: 409,   code: 'recipients_stale',       outcome: 'reseal' },
  { status: 404,   code: 'queue_unknown',          outcome: 'reseal' },
  { status: 409,   code: 'idempotency_key_reused', outcome: 'refused' },
  { status: 429,   code: null,                     outcome: 'retry' },
  { status: '5xx', code: null,                     outcome: 'retry' },
  { status: '4xx', code: null,                     outcome: 'refused' },
]

export function outcomeOf(result: SendResult): SendOutcome {
  const code = 'code' in result ? result.code : null
  const rule = outcomeTable.find(
    (line) => fitsStatus(line.status, result.status) && (line.code === null || line.code === code),
  )
  if (rule === undefined) throw new Error(`the outcome table has no line for ${result.status}`)
  return rule.outcome
}

/** What a row keeps of a result that was no acceptance. */
export function errorText(result: { readonly code: string; readonly detail?: string }): string {
  return result.detail === undefined ? result.code : `${result.code}: ${result.detail}`
}

function fitsStatus(pattern: OutcomeRule['status'], status: number): boolean {
  return typeof pattern === 'number' ? pattern === status : pattern === `${Math.floor(status / 100)}xx`
}
