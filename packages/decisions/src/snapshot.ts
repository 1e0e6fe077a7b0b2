/** A state as bytes, from which a fold goes on (07 §5). Equal states are equal bytes; losing them loses nothing. */
import { canonicalJson, type JsonObject, type SpaceState, spaceStateSchema } from '@claudemesh/protocol'
import { Compile, type Validator } from 'typebox/compile'

/** Of the form, and of how events are folded: a snapshot of another one is not read. */
const version = 1

let validator: Validator | null = null

export function encodeSnapshot(state: SpaceState): Buffer {
  return Buffer.from(`${canonicalJson({ version, ...state } as unknown as JsonObject)}\n`)
}

/** @returns null when the bytes are no snapshot of this version: the state is to be folded from the start */
export function decodeSnapshot(bytes: Uint8Array): SpaceState | null {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    // Bytes that were cut off or damaged; whoever asks has the log.
    return null
  }
  if (value === null || typeof value !== 'object' || !('version' in value)) return null
  const { version: found, ...state } = value
  validator ??= Compile(spaceStateSchema)
  return found === version && validator.Check(state) ? (state as SpaceState) : null
}
