/**
 * Reads unpadded base64url of exactly `byteLength` bytes. Other spellings of the same bytes (padding, spare bits,
 * foreign characters), which decoders usually let pass, are refused: one value has one text.
 *
 * @returns null when the text is anything else
 */
export function decodeBase64url(text: string, byteLength: number): Buffer | null {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length === byteLength && bytes.toString('base64url') === text ? bytes : null
}
