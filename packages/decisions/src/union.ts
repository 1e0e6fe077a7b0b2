/**
 * Two logs of one origin as one (07 §6).
 *
 * 1. Nothing is lost: every event of both is there, under its id.
 * 2. What both begin with stays as it is. The rest is in the order of `ts` and `event_id`, renumbered, and each of it says in
 *    its payload where it stood first (`origin`). A log that only continues the other one is taken as it is.
 * 3. It does not matter which is which, nor how often it is done.
 */
import { canonicalJson, type JsonValue, MeshError } from '@claudemesh/protocol'
import type { DecisionEvent } from './event.ts'

/**
 * @param left a whole log, from its first event
 * @param right another one; both of the same space
 * @throws MeshError `import_conflict`: they have different events of one id, or are of different spaces
 */
export function union(left: readonly DecisionEvent[], right: readonly DecisionEvent[]): readonly DecisionEvent[] {
  const spaces = new Set([...left, ...right].map(({ space }) => space))
  if (spaces.size > 1) {
    throw new MeshError('import_conflict', { detail: `The logs are of different spaces: ${[...spaces].join(', ')}.` })
  }
  const [shorter, longer] = left.length < right.length ? [left, right] : [right, left]
  let common = 0
  while (common < shorter.length && shorter[common]?.event_id === longer[common]?.event_id) common += 1
  const united = new Map<string, DecisionEvent>()
  for (const event of [...left, ...right]) {
    const other = united.get(event.event_id)
    united.set(event.event_id, other === undefined ? event : reconcile(event, other))
  }
  const take = (event: DecisionEvent) => united.get(event.event_id) as DecisionEvent
  if (common === shorter.length) return longer.map(take)
  const prefix = longer.slice(0, common).map(take)
  for (const { event_id } of prefix) united.delete(event_id)
  const rest = [...united.values()].sort(byTime)
  return [...prefix, ...rest.map((event, index) => move(event, common + index + 1))]
}

/** One event of both logs: as it was united before, where it was. */
function reconcile(event: DecisionEvent, other: DecisionEvent): DecisionEvent {
  if (contentOf(event) !== contentOf(other)) {
    const { event_id } = event
    throw new MeshError('import_conflict', {
      detail: `Event ${event_id} says different things: it is number ${other.seq} in one log and ${event.seq} in the other.`,
      data: { event_id, seq: event.seq },
    })
  }
  const [first, second] = [originOf(event), originOf(other)]
  if (first === null) return other
  if (second === null || first.seq < second.seq) return event
  return other
}

/** All of an event but where it stands. */
function contentOf(event: DecisionEvent): string {
  const { seq: _, payload, ...rest } = event
  const { origin: __, ...content } = payload
  return canonicalJson({ ...rest, payload: content } as JsonValue)
}

function originOf({ payload }: DecisionEvent) {
  return payload.origin ?? null
}

function move(event: DecisionEvent, seq: number): DecisionEvent {
  const origin = originOf(event) ?? { space: event.space, seq: event.seq }
  return { ...event, seq, payload: { ...event.payload, origin } } as DecisionEvent
}

function byTime(left: DecisionEvent, right: DecisionEvent): number {
  const [first, second] = [`${left.ts} ${left.event_id}`, `${right.ts} ${right.event_id}`]
  return first < second ? -1 : Number(first > second)
}
