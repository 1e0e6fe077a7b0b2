/** What is taken over from images that others made: what a package could have said itself, and nothing of the rest. */
import { isReservedAnnotation } from './names.ts'

const nameLengthMax = 255
const annotationsMax = 64
const keyBytesMax = 128
const valueBytesMax = 4096
const mediaTypePattern = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/

/** The annotations that a package may have; those that are reserved, or that it could not keep, are passed over. */
export function foreignAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const kept = Object.entries(annotations ?? {}).filter(
    ([key, value]) =>
      !isReservedAnnotation(key) && isText(key, keyBytesMax) && key !== '' && isText(value, valueBytesMax),
  )
  return Object.fromEntries(kept.slice(0, annotationsMax))
}

/** A name that a package may have; null when it may not, or there is none. */
export function foreignName(name: string | undefined | null): string | null {
  return typeof name === 'string' && name !== '' && name.length <= nameLengthMax && isText(name, valueBytesMax)
    ? name
    : null
}

/** The type without its parameters, in lower case; null when it is none (RFC 6838). */
export function foreignMediaType(mediaType: string): string | null {
  const [essence = ''] = mediaType.toLowerCase().split(';', 1)
  const trimmed = essence.trim()
  return mediaTypePattern.test(trimmed) ? trimmed : null
}

function isText(text: string, bytesMax: number): boolean {
  return text.isWellFormed() && !text.includes('\u0000') && Buffer.byteLength(text) <= bytesMax
}
