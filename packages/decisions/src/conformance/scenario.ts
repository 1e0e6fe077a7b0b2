/** What the cases of the contract share: a log under test, and how it is filled and read. */
import assert from 'node:assert/strict'
import type { DecisionLog } from '../decision-log.ts'
import type { DecisionDraft, DecisionEvent } from '../event.ts'

/** A log that holds nothing yet, and the clock that it was opened with. */
export interface DecisionLogSubject {
  readonly log: DecisionLog
  /** Milliseconds since the epoch. */
  readonly clock: { now: number }
  /** Another one over what the log keeps, as after a restart; the same where nothing outlives the process. */
  readonly reopen: () => Promise<DecisionLog>
}

export interface DecisionLogCase {
  /** A sentence of the contract. */
  readonly name: string
  readonly run: (subject: DecisionLogSubject) => Promise<void>
}

export const space = 'plans'
export const actor = 'suite'

export function set(key: string, value: unknown = key): DecisionDraft {
  return { kind: 'state', actor, payload: { key, value } } as DecisionDraft
}

export function note(text: string): DecisionDraft {
  return { kind: 'note', actor, payload: { text, refs: [] } }
}

export async function collect(events: AsyncIterable<DecisionEvent>): Promise<DecisionEvent[]> {
  const collected: DecisionEvent[] = []
  for await (const event of events) collected.push(event)
  return collected
}

export async function* from(events: Iterable<DecisionEvent>): AsyncGenerator<DecisionEvent> {
  yield* events
}

/** Appends one decision under an intent of the same name. */
export async function decide(log: DecisionLog, draft: DecisionDraft, intentId: string): Promise<DecisionEvent> {
  const [event] = await log.append(space, [draft], { intentId })
  assert.ok(event)
  return event
}

export const code = (expected: string) => (error: unknown) => {
  assert.equal((error as { readonly code?: string }).code, expected, String(error))
  return true
}
