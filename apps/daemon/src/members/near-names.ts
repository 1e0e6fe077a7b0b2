/**
 * The names that somebody may have meant, the closest first.
 *
 * @param limit how many at most
 */
export function nearNames(input: {
  readonly wanted: string
  readonly known: Iterable<string>
  readonly limit: number
}): string[] {
  const { wanted, known, limit } = input
  const distanceMax = wanted.length < 5 ? 1 : 2
  const near: { name: string; distance: number }[] = []
  for (const name of known) {
    if (name === wanted) continue
    const distance = isExtension(wanted, name) ? 1 : editDistance(wanted, name, distanceMax)
    if (distance <= distanceMax) near.push({ name, distance })
  }
  near.sort((left, right) => left.distance - right.distance || (left.name < right.name ? -1 : 1))
  return near.slice(0, limit).map((candidate) => candidate.name)
}

/** One name begins with the other: `review` for `reviewer`. */
function isExtension(left: string, right: string): boolean {
  const [short, long] = left.length < right.length ? [left, right] : [right, left]
  return short.length >= 3 && long.startsWith(short)
}

/**
 * How many characters must be inserted, removed, replaced or swapped with their neighbour to turn one text into the
 * other. Any answer above `max` means only that it is more than `max`.
 */
export function editDistance(left: string, right: string, max: number): number {
  if (Math.abs(left.length - right.length) > max) return max + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= right.length; column += 1) {
      const isSame = left[row - 1] === right[column - 1]
      const isSwapped =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      current.push(
        Math.min(
          at(last, column) + 1,
          at(current, column - 1) + 1,
          at(last, column - 1) + (isSame ? 0 : 1),
          isSwapped ? at(beforeLast, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    if (Math.min(...current) > max) return max + 1
    beforeLast = last
    last = current
  }
  return at(last, right.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
