/**
 * Text of others made safe to show. A message can hold escape sequences that move the cursor, rewrite what stands on
 * the screen or make a terminal type; and marks that show a line in another order than it is written.
 */

/** C0 but for tab and newline, DEL, C1, and the explicit bidirectional controls. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const hazardous = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** Shows control characters as `\x1b` instead of obeying them; newlines and tabs stay. */
export function printable(text: string): string {
  return text.replace(hazardous, (character) => {
    const code = character.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/** The same on one line: runs of white space become one space. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s+/g, ' ').trim())
}
