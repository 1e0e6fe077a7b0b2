/**
 * Turns what a person types into an FTS5 expression that always parses: every word is quoted, so that no character
 * of the text is ever read as syntax.
 *
 *     build failed        both words, anywhere
 *     "build failed"      the phrase
 *     fail*               words that begin so
 *
 * @returns null when the text has no word in it, which finds nothing
 */
export function toSearchExpression(text: string): string | null {
  const terms: string[] = []
  for (const match of text.toWellFormed().matchAll(termRegExp)) {
    const words = match[1] ?? match[2] ?? ''
    if (!wordRegExp.test(words)) continue
    terms.push(`"${words.replaceAll('"', ' ').replaceAll('\u0000', ' ')}"${match[3] === undefined ? '' : ' *'}`)
    if (terms.length === termsMax) break
  }
  return terms.length === 0 ? null : terms.join(' AND ')
}

/** A quoted phrase, or a run of anything but blanks and quotes; a star directly behind makes it a prefix. */
const termRegExp = /(?:"([^"]*)"?|([^\s"*]+))(\*)?/gu
/** Something that the tokenizer makes a word of. */
const wordRegExp = /[\p{L}\p{N}\p{Co}]/u
/** More words than this say nothing more and only cost time. */
const termsMax = 32
