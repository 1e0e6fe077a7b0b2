/** Following the log: every event after a number, in order, once, for ever (06 §7). */
import { ArtifactError } from '../artifact-error.ts'
import type { Database, Listener } from '../db/spi.ts'
import type { Event } from './event.ts'
import { readEvents } from './log.ts'

export interface TailOptions {
  readonly signal?: AbortSignal
  /** Only events of these types. */
  readonly types?: readonly string[]
  /** Only events about this subject. */
  readonly subject?: { readonly kind: string; readonly id: string }
}

export interface Following extends TailOptions {
  readonly signal: AbortSignal
  /** Called when the first event is asked for; throws when too many follow. @returns what to call at the end */
  readonly entered: () => () => void
}

/**
 * Yields events as they are committed; it ends when `signal` aborts. Nothing is held between two pages: a slow consumer
 * costs no memory and delays nobody.
 *
 * @param since the number after which to begin; one that is not there yet is waited for
 * @throws ArtifactError `invalid_cursor`, `log_gap`, `database_unavailable`
 */
export function tailEvents(database: Database, since: number, o: Following): AsyncIterableIterator<Event> {
  const stopped = new AbortController()
  const events = follow(database, since, { ...o, signal: AbortSignal.any([o.signal, stopped.signal]) })
  return {
    next: () => events.next(),
    // Also while it waits for an event that may never come.
    return: () => {
      stopped.abort()
      return events.return(undefined)
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

async function* follow(database: Database, since: number, o: Following): AsyncGenerator<Event> {
  if (!Number.isSafeInteger(since) || since < 0) {
    throw new ArtifactError('invalid_cursor', { detail: 'The log is followed from a number of an event, or from 0.' })
  }
  const { signal } = o
  const types = o.types === undefined ? null : new Set(o.types)
  const isWanted = (event: Event) =>
    (types === null || types.has(event.event_type)) &&
    (o.subject === undefined || (event.subject_kind === o.subject.kind && event.subject_id === o.subject.id))
  // Before the first read: what is committed in between wakes it.
  const leave = o.entered()
  let listener: Listener | null = null
  try {
    listener = await database.listen()
    for (let cursor = since; !signal.aborted; ) {
      const events = await database.read((session) => readEvents(session, { after: cursor }))
      for (const event of events) {
        if (signal.aborted) return
        cursor = event.sequence
        if (isWanted(event)) yield event
      }
      if (events.length === 0) await listener.wait(signal)
    }
  } finally {
    leave()
    await listener?.close()
  }
}
