/**
 * What follows from the events of a space (07 §5).
 *
 * 1. Pure: the same events give the same state, byte for byte, whoever folds them and in however many steps.
 * 2. Total: every event that can be in a log has a meaning. What has no effect any more (the withdrawal of a binding that
 *    is gone, a name that would close a circle in a log that was united from two) changes nothing but the number.
 */
import { type JsonValue, MeshError, type SpaceOverlay, type SpaceState } from '@claudemesh/protocol'
import { closesCycle } from './aliases.ts'
import type { DecisionEvent } from './event.ts'
import { groupBindings } from './groups.ts'
import { composePatch, toComposed } from './merge-patch.ts'

type Entry<Name extends 'state' | 'aliases'> = SpaceState[Name][string]
type Overlay = Omit<SpaceOverlay, 'history'>

/**
 * The state after some events.
 *
 * @param from the state that the first of them follows; absent: they are all there are
 * @throws MeshError `log_gap`: an event is missing
 */
export function fold(events: Iterable<DecisionEvent>, from?: SpaceState): SpaceState {
  const folding = new Fold(from)
  for (const event of events) folding.apply(event)
  return folding.state()
}

/** The same, of events as they are read. */
export async function foldLog(events: AsyncIterable<DecisionEvent>, from?: SpaceState): Promise<SpaceState> {
  const folding = new Fold(from)
  for await (const event of events) folding.apply(event)
  return folding.state()
}

/** A fold that goes on, event by event. */
export class Fold {
  #seq: number
  readonly #state: Map<string, Entry<'state'>>
  readonly #history: Map<string, number[]>
  readonly #aliases: Map<string, Entry<'aliases'>>
  /** Name to target, as far as circles are concerned. */
  readonly #targets: Map<string, string>
  /** By the event that bound. */
  readonly #bindings: Map<string, SpaceState['bindings'][number]>
  readonly #overlays: Map<string, Overlay>
  readonly #overlayHistory: Map<string, number[]>
  readonly #merges: SpaceState['merges']
  readonly #forks: SpaceState['forks']
  readonly #notes: SpaceState['notes']
  /** The state as it was given out last; null after an event. */
  #given: SpaceState | null = null

  /** @param from where to go on; absent: before the first event */
  constructor(from: SpaceState = emptyState) {
    this.#seq = from.seq
    this.#state = new Map(Object.entries(from.state))
    this.#history = copyHistory(Object.entries(from.history))
    this.#aliases = new Map(Object.entries(from.aliases))
    this.#targets = new Map(Object.entries(from.aliases).map(([name, { target }]) => [name, target]))
    this.#bindings = new Map(from.bindings.map((binding) => [binding.event_id, binding]))
    this.#overlays = new Map(Object.entries(from.overlays).map(([target, { history: _, ...rest }]) => [target, rest]))
    this.#overlayHistory = copyHistory(Object.entries(from.overlays).map(([target, { history }]) => [target, history]))
    this.#merges = [...from.merges]
    this.#forks = [...from.forks]
    this.#notes = [...from.notes]
  }

  /** The number of the last event. */
  get seq(): number {
    return this.#seq
  }

  /** @throws MeshError `log_gap`: it does not follow the last one */
  apply(event: DecisionEvent): void {
    const { seq } = event
    if (seq !== this.#seq + 1) {
      throw new MeshError('log_gap', { detail: `Event ${seq} follows event ${this.#seq}.`, data: { seq } })
    }
    this.#decide(event)
    this.#seq = seq
    this.#given = null
  }

  /** What holds now. It does not change with later events. */
  state(): SpaceState {
    this.#given ??= {
      seq: this.#seq,
      state: Object.fromEntries(this.#state),
      history: Object.fromEntries(copyHistory(this.#history)),
      aliases: Object.fromEntries(this.#aliases),
      bindings: [...this.#bindings.values()],
      groups: Object.fromEntries(groupBindings(this.#bindings.values())),
      overlays: Object.fromEntries(
        [...this.#overlays].map(([target, overlay]) => [
          target,
          { ...overlay, history: [...(this.#overlayHistory.get(target) ?? [])] },
        ]),
      ),
      merges: [...this.#merges],
      forks: [...this.#forks],
      notes: [...this.#notes],
    }
    return this.#given
  }

  #decide(event: DecisionEvent): void {
    const { kind, payload } = event
    const decision = { seq: event.seq, event_id: event.event_id, actor: event.actor, ts: event.ts }
    switch (kind) {
      case 'state':
        record(this.#history, payload.key, event.seq)
        if (payload.value === null) this.#state.delete(payload.key)
        else this.#state.set(payload.key, { value: payload.value, ...decision })
        return
      case 'overlay': {
        record(this.#overlayHistory, payload.target, event.seq)
        const before = this.#overlays.get(payload.target) ?? {}
        this.#overlays.set(
          payload.target,
          'text' in payload ? { ...before, text: payload.text } : lay(before, payload.patch),
        )
        return
      }
      case 'alias': {
        const { name, target } = payload
        if (closesCycle(this.#targets, { name, target })) return
        this.#targets.set(name, target)
        this.#aliases.set(name, { target, ...decision })
        return
      }
      case 'binding': {
        const { a, b, relation } = payload
        this.#bindings.set(event.event_id, { a, b, ...(relation === undefined ? {} : { relation }), ...decision })
        return
      }
      case 'unbinding':
        this.#bindings.delete(payload.event_id)
        return
      case 'merge':
        this.#merges.push({ from: payload.from, into: payload.into, strategy: payload.strategy, ...decision })
        return
      case 'fork': {
        const { from_space, from_seq, reason } = payload
        this.#forks.push({ from_space, from_seq, reason, ...decision })
        return
      }
      case 'note':
        this.#notes.push({ text: payload.text, refs: payload.refs, ...decision })
        return
      default:
        event satisfies never
    }
  }
}

const emptyState: SpaceState = {
  seq: 0,
  state: {},
  history: {},
  aliases: {},
  bindings: [],
  groups: {},
  overlays: {},
  merges: [],
  forks: [],
  notes: [],
}

function lay({ clear, patch, text }: Overlay, next: JsonValue): Overlay {
  const composed = composePatch(patch === undefined ? null : toComposed(patch, clear), next)
  return text === undefined ? composed : { ...composed, text }
}

function record(history: Map<string, number[]>, key: string, seq: number): void {
  const numbers = history.get(key)
  if (numbers === undefined) history.set(key, [seq])
  else numbers.push(seq)
}

function copyHistory(entries: Iterable<readonly [string, readonly number[]]>): Map<string, number[]> {
  return new Map(Array.from(entries, ([key, numbers]) => [key, [...numbers]]))
}
