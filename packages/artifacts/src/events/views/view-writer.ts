/** The one writer of views (06 §5), as a replay drives it. */
import type { Session } from '../../db/spi.ts'
import { viewNames } from '../../db/view-names.ts'
import type { Event } from '../event.ts'
import { applyEvent } from './apply.ts'
import { empty } from './statements.ts'
import { ViewRows } from './view-rows.ts'

export interface ViewWriter {
  /** Empties all views. */
  reset(): Promise<void>
  /** @returns false for an event of a type that is not known: it changes nothing */
  apply(event: Event): Promise<boolean>
  /** Writes what is held back. A replay asks for it now and then, and at its end. */
  flush(): Promise<void>
}

/** Writes to the views of a session. */
export function viewWriter(session: Session): ViewWriter {
  const views = new ViewRows(session)
  return {
    reset: async () => {
      // A row goes before the one that it refers to.
      for (const table of [...viewNames].reverse()) await empty(session, table)
    },
    apply: (event) => applyEvent(views, event),
    flush: () => views.flush(),
  }
}
