/** The one writer of views (06 §5), as a replay drives it. */
import type { Session } from '../../db/spi.ts'
import { viewNames } from '../../db/view-names.ts'
import type { Event } from '../event.ts'
import { applyEvent } from './apply.ts'
import { empty } from './statements.ts'

export interface ViewWriter {
  /** Empties all views. */
  reset(): Promise<void>
  /** @returns false for an event of a type that is not known: it changes nothing */
  apply(event: Event): Promise<boolean>
}

/** Writes to the views of a session. */
export function viewWriter(session: Session): ViewWriter {
  return {
    reset: async () => {
      // A row goes before the one that it refers to.
      for (const table of [...viewNames].reverse()) await empty(session, table)
    },
    apply: (event) => applyEvent(session, event),
  }
}
