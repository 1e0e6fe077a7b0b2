/** What a document shows as output, as a pattern: ids, times and sizes differ from run to run, and stand there as `…`. */

/** Of lines: `…` is anything within a line, and on a line of its own any number of lines. */
export function patternOf(shown: string): RegExp {
  const lines = shown.trimEnd().split('\n')
  const patterns = lines.map((line) => (line.trim() === '…' ? '(?:.*\\n)*?' : `${patternOfLine(line)}\\n`))
  return new RegExp(`^${patterns.join('')}$`)
}

function patternOfLine(line: string): string {
  const parts = line.trimEnd().split('…')
  // A column is as wide as its widest value, which may be a shorter one in the document.
  return `${parts.map((part) => literally(part).replaceAll(/ {2,}/g, ' +')).join('.*')} *`
}

/** Of JSON: every member that is shown is there; a text with `…` is a pattern. @returns where they differ, or null */
export function differenceOf(shown: unknown, found: unknown, path = '$'): string | null {
  if (typeof shown === 'string' && shown.includes('…')) {
    return new RegExp(`^${shown.split('…').map(literally).join('.*')}$`, 's').test(String(found))
      ? null
      : `${path}: ${JSON.stringify(found)}`
  }
  if (typeof shown !== 'object' || shown === null) {
    return shown === found ? null : `${path}: ${JSON.stringify(found)} is not ${JSON.stringify(shown)}`
  }
  if (typeof found !== 'object' || found === null || Array.isArray(shown) !== Array.isArray(found)) {
    return `${path}: ${JSON.stringify(found)} is not ${JSON.stringify(shown)}`
  }
  const members = found as Readonly<Record<string, unknown>>
  for (const [name, value] of Object.entries(shown)) {
    const difference = differenceOf(value, members[name], `${path}.${name}`)
    if (difference !== null) return difference
  }
  return null
}

function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
