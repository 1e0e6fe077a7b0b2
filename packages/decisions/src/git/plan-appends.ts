/** What several appends that come together add to a space, and what each of them is answered. */
import { MeshError } from '@claudemesh/protocol'
import type { AppendOptions } from '../decision-log.ts'
import { type DecisionDraft, type DecisionEvent, encodeEvent } from '../event.ts'
import type { Runtime } from '../runtime.ts'
import { repeatedIntent } from '../space-line.ts'
import type { GitSpace } from './git-space.ts'

export interface PlannedAppend {
  /** As `checkAppend` gives them. */
  readonly drafts: readonly DecisionDraft[]
  readonly o: AppendOptions
}

/**
 * What becomes of one append. `repeated`: its intent is in the log already; `drawn`: its events are among the new ones;
 * `left`: there was no room for it among them.
 */
export type AppendPlan =
  | { readonly kind: 'repeated' | 'drawn'; readonly events: readonly DecisionEvent[] }
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'left' }

export interface Plan {
  /** One for each append, in their order. */
  readonly outcomes: readonly AppendPlan[]
  /** The new events, in order. The line of the space has taken them. */
  readonly drawn: readonly DecisionEvent[]
}

/**
 * Draws the events of appends, in their order. One that is refused takes nobody else along.
 *
 * @param o `bytesMax`: of all new events in their written form
 */
export async function planAppends(
  space: GitSpace,
  appends: readonly PlannedAppend[],
  { runtime, bytesMax = Number.POSITIVE_INFINITY }: { readonly runtime: Runtime; readonly bytesMax?: number },
): Promise<Plan> {
  const { line, seq } = space
  const outcomes: AppendPlan[] = []
  const drawn: DecisionEvent[] = []
  let bytes = 0
  const plan = async ({ drafts, o }: PlannedAppend): Promise<AppendPlan> => {
    const numbers = line.findIntent(o.intentId)
    if (numbers !== null) {
      const isDrawn = (numbers[0] ?? 0) > seq
      const events = isDrawn ? numbers.flatMap((n) => drawn[n - seq - 1] ?? []) : await readAll(space, numbers)
      return { kind: isDrawn ? 'drawn' : 'repeated', events: repeatedIntent(events, drafts) }
    }
    const events = line.draw(drafts, o, runtime)
    const size = bytesMax === Number.POSITIVE_INFINITY ? 0 : bytesOf(events)
    if (size > bytesMax) throw tooLarge(size, bytesMax)
    if (bytes + size > bytesMax) return { kind: 'left' }
    for (const event of events) line.admit(event)
    drawn.push(...events)
    bytes += size
    return { kind: 'drawn', events }
  }
  for (const append of appends) {
    // Whatever is wrong with one append; what keeps everybody from appending is met by the next step.
    outcomes.push(await plan(append).catch((error: unknown) => ({ kind: 'refused' as const, error })))
  }
  return { outcomes, drawn }
}

/** The events with these numbers. */
export async function readAll(space: GitSpace, numbers: readonly number[]): Promise<readonly DecisionEvent[]> {
  const events: DecisionEvent[] = []
  for (const seq of numbers) {
    for await (const event of space.read(space.view(), { after: seq - 1, until: seq })) events.push(event)
  }
  return events
}

function bytesOf(events: readonly DecisionEvent[]): number {
  return events.reduce((bytes, event) => bytes + encodeEvent(event).length, 0)
}

function tooLarge(size: number, bytesMax: number): MeshError {
  return new MeshError('decision_too_large', {
    detail: `The append has ${size} bytes, and one of a space that is shared may have ${bytesMax}.`,
    data: { bytes: size, bytes_max: bytesMax },
  })
}
