/** Part of the composition root: exports of the history, and who is told of them. */
import type { History } from '@claudemesh/history'
import { type DaemonPaths, type EventType, MeshError } from '@claudemesh/protocol'
import type { SinkEvent } from '@claudemesh/sinks'
import type { Events } from '../events/events.ts'
import type { Closing } from '../lifecycle/closing.ts'
import type { Log } from '../log.ts'
import type { Runtime } from '../runtime.ts'
import { SinkSections } from '../sinks/sink-sections.ts'
import { Sinks } from '../sinks/sinks.ts'

export interface SinkParts {
  readonly paths: DaemonPaths
  /** Null when there is none. */
  readonly history: History | null
  readonly events: Events
  readonly runtime: Runtime
  readonly log: Log
  readonly closing: Closing
}

/** What readers of events hear of; every run that went well is in the log alone. */
const announced: Readonly<Partial<Record<SinkEvent['type'], EventType>>> = {
  failed: 'sink_failed',
  recovered: 'sink_recovered',
  stopped: 'sink_stopped',
  lost: 'sink_rows_lost',
}

export function composeSinks(o: SinkParts): Sinks {
  const { paths, history, runtime, log, closing } = o
  const sinks = new Sinks({
    directory: paths.sinks,
    history,
    sections: new SinkSections(paths.config),
    onEvent: (event) => tell(event, o),
    runtime,
    log,
  })
  closing.add('sinks', () => sinks.close())
  return sinks
}

function tell(event: SinkEvent, { events, log }: SinkParts): void {
  const { type: what, ...rest } = event
  const { error, ...data } = 'error' in rest ? rest : { ...rest, error: undefined }
  log[error === undefined ? 'info' : 'warn'](
    { ...data, ...(error === undefined ? {} : { err: error }) },
    `sink_${what}`,
  )
  const type = announced[what]
  // One failure is news; that it goes on failing is in its status.
  if (type === undefined || (event.type === 'failed' && event.failures > 1)) return
  const reason = error instanceof Error ? { error: error.message } : {}
  try {
    events.append([{ type, data: { ...data, ...reason } }])
  } catch (failure) {
    // The disk may be what is full: health and the log say the same.
    if (!(failure instanceof MeshError)) throw failure
    log.error({ err: failure }, 'event_not_stored')
  }
}
