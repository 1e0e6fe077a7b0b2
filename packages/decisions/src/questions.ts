/** What is asked of a state, beside what it says by itself (07 §5, §7). */
import { type JsonValue, MeshError, type SpaceState } from '@claudemesh/protocol'
import type { DecisionLog } from './decision-log.ts'
import type { DecisionEvent } from './event.ts'
import { foldLog } from './fold.ts'
import { applyComposed, toComposed } from './merge-patch.ts'

/** Why something is as it is. */
export interface Reasons {
  /** What was asked for stands for this, and itself when it is no alias. */
  readonly key: string
  /** Absent: nothing is decided on it, or it was removed. */
  readonly value?: JsonValue
  /** Every decision behind it, in order: on the key, on its overlays, its bindings, and the aliases that lead to it. */
  readonly decisions: readonly DecisionEvent[]
}

/**
 * The state as it was after an event.
 *
 * @param from a state to go on from, when it is not later; null: from the start
 * @throws MeshError `invalid_cursor`: that event is not there yet; what `DecisionLog.events` throws
 */
export async function stateAt(
  log: DecisionLog,
  space: string,
  seq: number,
  from: SpaceState | null = null,
): Promise<SpaceState> {
  const before = from !== null && from.seq <= seq ? from : undefined
  const state = await foldLog(log.events(space, { after: before?.seq ?? 0, until: seq }), before)
  if (state.seq === seq) return state
  throw new MeshError('invalid_cursor', {
    detail: `The last event of ${space} is ${state.seq}.`,
    data: { head: state.seq },
  })
}

/**
 * The chain of decisions behind a key, an overlaid target, or a name of either.
 *
 * @param state of this log, at any event
 * @throws MeshError what `DecisionLog.events` throws
 */
export async function why(log: DecisionLog, space: string, o: { key: string; state: SpaceState }): Promise<Reasons> {
  const { state } = o
  const key = resolveName(state, o.key)
  const numbers = new Set(decisionsBehind(state, { name: o.key, key }))
  const [first, last] = [Math.min(...numbers), Math.max(...numbers)]
  // In one pass: what costs is to find a place in a log, not to read on.
  const range = numbers.size === 0 ? [] : await collect(log.events(space, { after: first - 1, until: last }))
  const decisions = range.filter(({ seq }) => numbers.has(seq))
  const value = memberOf(state.state, key)?.value
  return { key, ...(value === undefined ? {} : { value }), decisions }
}

/** What a name stands for in the end; itself when it is no alias. */
export function resolveName(state: SpaceState, name: string): string {
  let resolved = name
  for (let alias = memberOf(state.aliases, name); alias !== undefined; alias = memberOf(state.aliases, resolved)) {
    resolved = alias.target
  }
  return resolved
}

/** The smallest of all that is the same thing as a member; itself when it is bound to nothing. */
export function representativeOf(state: SpaceState, member: string): string {
  for (const [representative, members] of Object.entries(state.groups)) {
    if (members.includes(member)) return representative
  }
  return member
}

/** A target as it is with what was laid over it. */
export function overlaid(state: SpaceState, target: string, value: JsonValue): JsonValue {
  const { patch, clear } = memberOf(state.overlays, target) ?? { patch: undefined, clear: undefined }
  if (patch === undefined) return value
  return applyComposed(value, toComposed(patch, clear))
}

/** The notes that contain each of some words, in the text or in a reference, in capitals or not. */
export function findNotes(state: SpaceState, words: string): SpaceState['notes'] {
  const wanted = words.toLowerCase().split(/\s+/)
  return state.notes.filter(({ text, refs }) => {
    const searched = [text, ...refs].join('\n').toLowerCase()
    return wanted.every((word) => searched.includes(word))
  })
}

function decisionsBehind(state: SpaceState, o: { readonly name: string; readonly key: string }): number[] {
  const numbers = [...(memberOf(state.history, o.key) ?? []), ...(memberOf(state.overlays, o.key)?.history ?? [])]
  for (let name = o.name; name !== o.key; ) {
    const alias = memberOf(state.aliases, name)
    if (alias === undefined) break
    numbers.push(alias.seq)
    name = alias.target
  }
  const representative = representativeOf(state, o.key)
  for (const { a, seq } of state.bindings) if (representativeOf(state, a) === representative) numbers.push(seq)
  return numbers
}

/** A key of somebody's choice may be called as what every object has. */
export function memberOf<Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}

async function collect(events: AsyncIterable<DecisionEvent>): Promise<DecisionEvent[]> {
  const collected: DecisionEvent[] = []
  for await (const event of events) collected.push(event)
  return collected
}
