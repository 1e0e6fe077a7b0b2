/** The log of decisions of each space, whatever keeps it (07 §2). `decisionLogCases` holds every implementation to this. */
import { MeshError } from '@claudemesh/protocol'
import type { DecisionDraft, DecisionEvent } from './event.ts'

/** Which append it is, and what it relies on. */
export interface AppendOptions {
  /** The caller's idempotency key: 1 to 255 visible ASCII characters, unique in its space. */
  readonly intentId: string
  /** The number of the last event that the caller knows. Absent: whatever was decided meanwhile. */
  readonly expectHead?: number
}

/** The end of a log. */
export interface Head {
  /** The number of the last event; 0 in a space in which nothing was decided. */
  readonly seq: number
  /** The commit of the last event; null where there are no commits, or no events. */
  readonly oid: string | null
}

export interface DecisionLog {
  /**
   * Appends decisions, all of them or none, and makes the space when it is the first. Fulfilled when they are kept. The
   * same intent again gives the events that it made the first time, whatever head it expects.
   *
   * @throws MeshError `invalid_space`, `invalid_client_message_id` (of the intent), `invalid_request` (how many drafts),
   *   a code of `encodeEvent`, `intent_reused`, `head_moved`, `alias_cycle`, `binding_unknown`: nothing was appended
   */
  append(space: string, drafts: readonly DecisionDraft[], o: AppendOptions): Promise<readonly DecisionEvent[]>

  /**
   * Appends events as they are, all of them or none. Each is checked when it is taken, before the next one is asked for;
   * when the source throws, nothing was appended.
   *
   * @returns how many there were
   * @throws MeshError `invalid_space`, a code of `encodeEvent`, `import_out_of_order`, `import_conflict`
   */
  importEvents(space: string, events: AsyncIterable<DecisionEvent>): Promise<number>

  /**
   * The events after a number, up to another one (included), as they are at the time of the call.
   *
   * @throws MeshError `invalid_space`, `space_unknown`, `invalid_cursor`
   */
  events(space: string, o?: { readonly after?: number; readonly until?: number }): AsyncIterable<DecisionEvent>

  /** @throws MeshError `invalid_space` */
  head(space: string): Promise<Head>

  /**
   * The events after a number, and every one that is appended from then on, until `signal` aborts. A space may be watched
   * before anything was decided in it.
   *
   * @throws MeshError `invalid_space`, `invalid_cursor`
   */
  watch(space: string, after: number, signal: AbortSignal): AsyncIterable<DecisionEvent>

  /** The names of all spaces in which something was decided, in order. */
  spaces(): Promise<readonly string[]>
}

/** @throws MeshError `invalid_cursor`: no place in a log */
export function checkCursor(seq: number): void {
  if (Number.isSafeInteger(seq) && seq >= 0) return
  throw new MeshError('invalid_cursor', { detail: 'A place in a log is the number of an event, or 0.' })
}
