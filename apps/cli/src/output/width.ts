/** How many columns a text takes on a terminal. */

/** Made for the first text that needs it: to load its tables takes as long as the rest of a short command. */
let segmenter: Intl.Segmenter | null = null
/** Scripts whose characters take two columns, full-width forms, and what is shown as emoji. */
const wide =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u
const invisible = /^[\p{Mark}\p{Format}]+$/u
const ascii = /^[\x20-\x7e]*$/

export function displayWidth(text: string): number {
  if (ascii.test(text)) return text.length
  let width = 0
  for (const { segment } of segmentsOf(text)) width += segmentWidth(segment)
  return width
}

/** The text cut to at most `width` columns, its end marked by an ellipsis when something is missing. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width <= 0) return ''
  let kept = ''
  let used = 0
  for (const { segment } of segmentsOf(text)) {
    used += segmentWidth(segment)
    if (used > width - 1) break
    kept += segment
  }
  return `${kept}…`
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)))
}

function segmentWidth(segment: string): number {
  if (wide.test(segment)) return 2
  return invisible.test(segment) ? 0 : 1
}

function segmentsOf(text: string): Iterable<Intl.SegmentData> {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' })
  return segmenter.segment(text)
}
