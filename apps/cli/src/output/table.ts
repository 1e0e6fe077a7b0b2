/**
 * Tables that fit the terminal: columns as wide as their widest cell, and when that is more than the terminal has, the
 * flexible ones give way. Written to a file or a pipe nothing is cut.
 */
import { displayWidth, padEnd, truncate } from './width.ts'

export interface Column<Row> {
  readonly title: string
  /** The cell's text: printable, one line. */
  readonly cell: (row: Row) => string
  /** Whether the column may be cut to make the table fit. */
  readonly flexible?: boolean
}

export interface TableOptions {
  /** Columns of the terminal, or null when there is none. */
  readonly width: number | null
  readonly paintTitle: (text: string) => string
}

const gap = '  '
/** Narrower than this a cell says nothing any more. */
const flexibleWidthMin = 8

/** @returns the lines of the table, title first; none without rows */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: TableOptions,
): readonly string[] {
  if (rows.length === 0) return []
  const cells = rows.map((row) => columns.map((column) => column.cell(row)))
  const natural = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map((line) => displayWidth(line[index] ?? ''))),
  )
  const flexible = columns.map((column) => column.flexible === true)
  const widths = options.width === null ? natural : fitWidths({ natural, flexible, width: options.width })
  const line = (texts: readonly string[]) =>
    texts
      .map((text, index) => padEnd(truncate(text, widths[index] ?? 0), widths[index] ?? 0))
      .join(gap)
      .trimEnd()
  return [options.paintTitle(line(columns.map((column) => column.title))), ...cells.map(line)]
}

/** Takes the columns too many from the widest flexible column, again and again, down to the least useful width. */
export function fitWidths(o: {
  readonly natural: readonly number[]
  readonly flexible: readonly boolean[]
  readonly width: number
}): readonly number[] {
  const widths = [...o.natural]
  const total = () => widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1))
  while (total() > o.width) {
    const widest = widestFlexible(widths, o.flexible)
    if (widest === null) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

function widestFlexible(widths: readonly number[], flexible: readonly boolean[]): number | null {
  let widest: number | null = null
  for (const [index, width] of widths.entries()) {
    if (flexible[index] !== true || width <= flexibleWidthMin) continue
    if (widest === null || width > (widths[widest] ?? 0)) widest = index
  }
  return widest
}
