import { MeshError } from '@claudemesh/protocol'
import { type AppendOptions, checkCursor, type DecisionLog, type Head } from './decision-log.ts'
import { checkSpaceName, type DecisionDraft, type DecisionEvent, encodeEvent } from './event.ts'
import { type Runtime, systemRuntime } from './runtime.ts'
import { checkAppend, repeatedIntent, SpaceLine } from './space-line.ts'

interface MemorySpace {
  readonly line: SpaceLine
  readonly events: DecisionEvent[]
}

/** Logs of decisions that last as long as the process: for tests, and for what need not outlive one. */
export class MemoryDecisionLog implements DecisionLog {
  readonly #runtime: Runtime
  readonly #spaces = new Map<string, MemorySpace>()
  readonly #wakers = new Set<() => void>()

  constructor(runtime: Runtime = systemRuntime()) {
    this.#runtime = runtime
  }

  async append(space: string, drafts: readonly DecisionDraft[], o: AppendOptions): Promise<readonly DecisionEvent[]> {
    const kept = this.#spaces.get(space) ?? { line: new SpaceLine(space), events: [] }
    const checked = checkAppend(drafts, o)
    const numbers = kept.line.findIntent(o.intentId)
    if (numbers !== null) {
      const events = numbers.flatMap((seq) => kept.events[seq - 1] ?? [])
      return structuredClone(repeatedIntent(events, checked))
    }
    const events = kept.line.draw(checked, o, this.#runtime)
    for (const event of events) kept.line.admit(event)
    this.#keep(space, kept, events)
    return structuredClone(events)
  }

  async importEvents(space: string, events: AsyncIterable<DecisionEvent>): Promise<number> {
    const before = this.#spaces.get(space)
    // A line of its own: the source may fail late, and others may append while it is read.
    const line = new SpaceLine(space)
    for (const event of before?.events ?? []) line.admit(event)
    const head = line.seq
    const taken: DecisionEvent[] = []
    for await (const event of events) {
      encodeEvent(event)
      line.admit(event)
      taken.push(structuredClone(event))
    }
    if ((this.#spaces.get(space)?.line.seq ?? 0) !== head) {
      throw new MeshError('import_conflict', { detail: `Something was decided in ${space} during the import.` })
    }
    if (taken.length > 0) this.#keep(space, { line, events: [...(before?.events ?? [])] }, taken)
    return taken.length
  }

  async *events(
    space: string,
    { after = 0, until = Number.MAX_SAFE_INTEGER }: { readonly after?: number; readonly until?: number } = {},
  ): AsyncGenerator<DecisionEvent> {
    checkCursor(after)
    checkCursor(until)
    const events = this.#find(space)?.events
    if (events === undefined) throw new MeshError('space_unknown', { detail: `There is no space ${space}.` })
    for (const event of events.slice(after, until)) yield structuredClone(event)
  }

  async head(space: string): Promise<Head> {
    return { seq: this.#find(space)?.line.seq ?? 0, oid: null }
  }

  async *watch(space: string, after: number, signal: AbortSignal): AsyncGenerator<DecisionEvent> {
    checkCursor(after)
    checkSpaceName(space)
    for (let seq = after; !signal.aborted; ) {
      const event = this.#find(space)?.events[seq]
      if (event === undefined) await this.#changed(signal)
      else {
        seq += 1
        yield structuredClone(event)
      }
    }
  }

  async spaces(): Promise<readonly string[]> {
    return [...this.#spaces.keys()].sort()
  }

  #find(space: string): MemorySpace | undefined {
    checkSpaceName(space)
    return this.#spaces.get(space)
  }

  #keep(space: string, kept: MemorySpace, events: readonly DecisionEvent[]): void {
    for (const event of events) kept.events.push(event)
    this.#spaces.set(space, kept)
    for (const wake of [...this.#wakers]) wake()
  }

  /** Until something is appended to some space, or the signal aborts. */
  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#wakers.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#wakers.add(wake)
      signal.addEventListener('abort', wake)
    })
  }
}
