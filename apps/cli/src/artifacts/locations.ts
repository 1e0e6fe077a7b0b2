import type { VerifiedLocations } from '@claudemesh/protocol/artifacts'
import { renderTable } from '../output/table.ts'
import type { Terminal } from '../output/terminal.ts'

/** Where bytes are, and what was found there. */
export function renderLocations(terminal: Terminal, locations: VerifiedLocations['locations']): readonly string[] {
  return renderTable(
    [
      { title: 'FILE', cell: (row) => row.file_id },
      { title: 'OUTCOME', cell: (row) => row.outcome },
      { title: 'BACKEND', cell: (row) => row.backend_id },
      { title: 'CONTENT', cell: (row) => row.content_address, flexible: true },
    ],
    locations,
    { width: terminal.width, paintTitle: (text) => terminal.paint('dim', text) },
  )
}
