import type { Session } from '@claudemesh/storage/postgres'
import { inspectPage } from '../../inspection/inspect-page.ts'
import type { InspectionPosition, InspectionStep } from '../../inspection.ts'
import { checks, queryRows } from './statements.ts'

/** A step of a pass. Each of its statements sees what is committed when it begins. */
export function inspect(
  session: Session,
  { position, rowsMax }: { readonly position: InspectionPosition | null; readonly rowsMax: number },
): Promise<InspectionStep> {
  return inspectPage({ checks, query: (text, values) => queryRows(session, text, values) }, position, rowsMax)
}
