/**
 * A log as lines of JSON (07 §6): the bytes of each event, one after the other. What was exported is imported as it is, or
 * not at all.
 */
import { type ErrorCode, MeshError } from '@claudemesh/protocol'
import type { DecisionLog } from './decision-log.ts'
import { type DecisionEvent, decodeEvent, encodeEvent, eventBytesMax } from './event.ts'

/** What an import did. */
export interface Imported {
  /** Events that were appended. */
  readonly appended: number
  /** Events that were there already, byte for byte. */
  readonly present: number
}

/** Faults of what is imported, which stand on some line of it. */
const faults = new Set<ErrorCode>([
  'decision_inexact',
  'decision_kind_unknown',
  'decision_not_canonical',
  'decision_too_large',
  'import_conflict',
  'import_out_of_order',
  'invalid_decision',
])

/**
 * All events of a space, each as its bytes.
 *
 * @throws MeshError what `DecisionLog.events` throws
 */
export async function* exportJsonl(log: DecisionLog, space: string): AsyncGenerator<Uint8Array> {
  for await (const event of log.events(space)) yield encodeEvent(event)
}

/**
 * Appends an export to a space that holds nothing, or that it continues. Lines that the space has already are passed over.
 *
 * @param source bytes, in pieces of any size
 * @throws MeshError `import_out_of_order`: a number is missing or comes again, or a time is before the one above;
 *   `import_conflict`: the space has another event there; a code of `decodeEvent`. Each with its `line`, from 1, and
 *   nothing was appended
 */
export async function importJsonl(
  log: DecisionLog,
  space: string,
  source: AsyncIterable<Uint8Array>,
): Promise<Imported> {
  const reading = { line: 0, present: 0 }
  try {
    const appended = await log.importEvents(space, newEvents(log, { space, source, reading }))
    return { appended, present: reading.present }
  } catch (error) {
    if (!(error instanceof MeshError) || !faults.has(error.code)) throw error
    const { line } = reading
    const { code, message, data } = error
    throw new MeshError(code, { detail: `Line ${line}: ${message}`, data: { ...data, line }, cause: error })
  }
}

interface Importing {
  readonly space: string
  readonly source: AsyncIterable<Uint8Array>
  readonly reading: { line: number; present: number }
}

/** The events of a source that its space does not have yet. */
async function* newEvents(log: DecisionLog, { space, source, reading }: Importing): AsyncGenerator<DecisionEvent> {
  const { seq: head } = await log.head(space)
  let there: AsyncIterator<DecisionEvent> | null = null
  let last: { readonly seq: number; readonly bytes: Buffer } | null = null
  for await (const bytes of splitLines(source)) {
    reading.line += 1
    const event = decodeEvent(bytes)
    if (event.space !== space) throw refused('import_conflict', event, `belongs to the space ${event.space}`)
    if (last !== null && event.seq === last.seq) {
      if (!bytes.equals(last.bytes)) throw refused('import_conflict', event, 'is another one on the line above')
      continue
    }
    if (last !== null && event.seq !== last.seq + 1) {
      throw refused('import_out_of_order', event, `follows event ${last.seq}`)
    }
    last = { seq: event.seq, bytes }
    if (event.seq > head) {
      yield event
      continue
    }
    there ??= log.events(space, { after: event.seq - 1 })[Symbol.asyncIterator]()
    const step = await there.next()
    if (step.done === true || !encodeEvent(step.value).equals(bytes)) {
      throw refused('import_conflict', event, `is another one in ${space}`)
    }
    reading.present += 1
  }
}

/** Lines with their newline, and at the end what has none. */
async function* splitLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer[] = []
  let length = 0
  for await (const chunk of source) {
    let from = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end + 1)])
      rest = []
      length = 0
      from = end + 1
    }
    // A copy: whoever gave the chunk may fill it again.
    rest.push(Buffer.from(chunk.subarray(from)))
    length += chunk.length - from
    // It is refused where it is decoded; no more of it is kept.
    if (length > eventBytesMax) break
  }
  if (length > 0) yield Buffer.concat(rest)
}

function refused(code: 'import_conflict' | 'import_out_of_order', { seq }: DecisionEvent, why: string): MeshError {
  return new MeshError(code, { detail: `Event ${seq} ${why}.`, data: { seq } })
}
