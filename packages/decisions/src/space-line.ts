/**
 * What is known of the events of one space when the next one is appended (07 §1, §2). It keeps no bytes: a backend takes
 * every event of its log through here, and asks here for new ones.
 *
 * 1. Numbers have no gap, times never decrease, an event id is there once, and new ids sort after the one before.
 * 2. Whatever is refused changes nothing.
 */
import {
  canonicalJson,
  type DecisionDraft,
  type DecisionEvent,
  decisionDraftsMax,
  isClientMessageId,
  type JsonValue,
  laterUlid,
  MeshError,
} from '@claudemesh/protocol'
import { closesCycle } from './aliases.ts'
import type { AppendOptions } from './decision-log.ts'
import { checkSpaceName, copyDraft, draftOf } from './event.ts'
import type { Runtime } from './runtime.ts'

/** What a line knows beside its single events. */
export interface KnownLine {
  /** When the last event was, in milliseconds since the epoch. */
  readonly time: number
  /** The largest there was. */
  readonly last_event_id: string
  /** Name and target. */
  readonly aliases: readonly (readonly [string, string])[]
  /** Event ids of the bindings that hold. */
  readonly bindings: readonly string[]
}

/** What is known of the events that a line goes on from, and need not be taken one by one. */
export interface LineBefore {
  readonly seq: number
  readonly line: KnownLine
  hasEventId(eventId: string): boolean
  /** The numbers of its events; none: it is not there. */
  findIntent(intentId: string): readonly number[]
}

export class SpaceLine {
  readonly #space: string
  readonly #before: LineBefore | null
  #seq = 0
  /** When the last event was, in milliseconds since the epoch. */
  #time = Number.NEGATIVE_INFINITY
  #lastEventId = ''
  readonly #eventIds = new Set<string>()
  /** Intent to the numbers of its events. */
  readonly #intents = new Map<string, number[]>()
  readonly #aliases = new Map<string, string>()
  /** Event ids of the bindings that hold. */
  readonly #bindings = new Set<string>()

  /** @throws MeshError `invalid_space` */
  constructor(space: string, before: LineBefore | null = null) {
    checkSpaceName(space)
    this.#space = space
    this.#before = before
    if (before === null) return
    this.#seq = before.seq
    this.#time = before.line.time
    this.#lastEventId = before.line.last_event_id
    for (const [name, target] of before.line.aliases) this.#aliases.set(name, target)
    for (const eventId of before.line.bindings) this.#bindings.add(eventId)
  }

  /** From which a line goes on, with what is known of each event. */
  get known(): KnownLine {
    return {
      time: this.#time,
      last_event_id: this.#lastEventId,
      aliases: [...this.#aliases],
      bindings: [...this.#bindings],
    }
  }

  /** The number of the last event, 0 before the first. */
  get seq(): number {
    return this.#seq
  }

  /** The numbers of the events of an intent, or null when it is new. */
  findIntent(intentId: string): readonly number[] | null {
    const numbers = [...(this.#before?.findIntent(intentId) ?? []), ...(this.#intents.get(intentId) ?? [])]
    return numbers.length === 0 ? null : numbers
  }

  /**
   * The events of a new intent, which follow the last one. They are not part of the line before `admit` takes them.
   *
   * @param drafts as `checkAppend` gives them
   * @throws MeshError `head_moved`, `alias_cycle`, `binding_unknown`
   */
  draw(drafts: readonly DecisionDraft[], o: AppendOptions, runtime: Runtime): readonly DecisionEvent[] {
    if (o.expectHead !== undefined && o.expectHead !== this.#seq) {
      throw new MeshError('head_moved', {
        detail: `The head of ${this.#space} is ${this.#seq}, and ${o.expectHead} was expected.`,
        data: { head: this.#seq },
      })
    }
    this.#checkReferences(drafts)
    const ts = new Date(Math.max(runtime.now(), this.#time)).toISOString()
    let eventId = this.#lastEventId
    return drafts.map((draft, index) => {
      eventId = laterUlid(runtime.nextId(), eventId)
      const place = { space: this.#space, seq: this.#seq + index + 1, event_id: eventId, intent_id: o.intentId, ts }
      return { ...place, ...draft } as DecisionEvent
    })
  }

  /**
   * Takes the next event of the log.
   *
   * @throws MeshError `import_out_of_order`, `import_conflict` with its number: it does not follow the last one
   */
  admit(event: DecisionEvent): void {
    const { space, seq, ts, event_id: eventId, intent_id: intentId } = event
    if (space !== this.#space) throw refused('import_conflict', event, `it belongs to the space ${space}`)
    if (seq !== this.#seq + 1) throw refused('import_out_of_order', event, `the next one is ${this.#seq + 1}`)
    const time = Date.parse(ts)
    if (time < this.#time) throw refused('import_out_of_order', event, `its time is before that of event ${this.#seq}`)
    if (this.#hasEventId(eventId)) throw refused('import_conflict', event, `its id ${eventId} is there already`)
    this.#seq = seq
    this.#time = time
    if (eventId > this.#lastEventId) this.#lastEventId = eventId
    this.#eventIds.add(eventId)
    const numbers = this.#intents.get(intentId)
    if (numbers === undefined) this.#intents.set(intentId, [seq])
    else numbers.push(seq)
    this.#admitReferences(event)
  }

  /** New ids sort after all others, so that there is nothing to be looked for. */
  #hasEventId(eventId: string): boolean {
    if (eventId > this.#lastEventId) return false
    return this.#eventIds.has(eventId) || (this.#before?.hasEventId(eventId) ?? false)
  }

  #admitReferences(event: DecisionEvent): void {
    if (event.kind === 'binding') this.#bindings.add(event.event_id)
    if (event.kind === 'unbinding') this.#bindings.delete(event.payload.event_id)
    // A log that was united from two may have a name that would close a circle; the fold does not take it either.
    if (event.kind === 'alias' && !closesCycle(this.#aliases, event.payload)) {
      this.#aliases.set(event.payload.name, event.payload.target)
    }
  }

  #checkReferences(drafts: readonly DecisionDraft[]): void {
    const aliases = drafts.some(({ kind }) => kind === 'alias') ? new Map(this.#aliases) : this.#aliases
    const withdrawn = new Set<string>()
    for (const { kind, payload } of drafts) {
      if (kind === 'alias') {
        if (closesCycle(aliases, payload)) {
          const { name, target } = payload
          throw new MeshError('alias_cycle', { detail: `${target} resolves to ${name}.`, data: { name, target } })
        }
        aliases.set(payload.name, payload.target)
      }
      if (kind === 'unbinding') {
        if (!this.#bindings.has(payload.event_id) || withdrawn.has(payload.event_id)) {
          throw new MeshError('binding_unknown', { detail: `No binding ${payload.event_id} holds in ${this.#space}.` })
        }
        withdrawn.add(payload.event_id)
      }
    }
  }
}

/**
 * Checks what an append was given, before anything else is looked at.
 *
 * @returns the drafts as they will be in the log, which the caller cannot change any more
 * @throws MeshError `invalid_client_message_id`, `invalid_request`, a code of `encodeEvent`
 */
export function checkAppend(drafts: readonly DecisionDraft[], o: AppendOptions): readonly DecisionDraft[] {
  if (typeof o.intentId !== 'string' || !isClientMessageId(o.intentId)) throw new MeshError('invalid_client_message_id')
  if (drafts.length === 0 || drafts.length > decisionDraftsMax) {
    throw new MeshError('invalid_request', { detail: `An append has 1 to ${decisionDraftsMax} decisions.` })
  }
  return drafts.map(copyDraft)
}

/**
 * The answer to an intent that is in the log already.
 *
 * @param events those of the intent
 * @throws MeshError `intent_reused`: they were made from other drafts
 */
export function repeatedIntent(
  events: readonly DecisionEvent[],
  drafts: readonly DecisionDraft[],
): readonly DecisionEvent[] {
  // Who signs again, after a rotation with another key, decides the same.
  const text = (value: readonly DecisionDraft[]) => canonicalJson(value.map(({ sig: _, ...said }) => said) as JsonValue)
  if (text(events.map(draftOf)) === text(drafts)) return events
  const [first] = events
  throw new MeshError('intent_reused', { data: { seq: first?.seq, event_id: first?.event_id } })
}

function refused(code: 'import_conflict' | 'import_out_of_order', { seq }: DecisionEvent, why: string): MeshError {
  return new MeshError(code, { detail: `Event ${seq} cannot be taken: ${why}.`, data: { seq } })
}
