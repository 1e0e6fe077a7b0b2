/**
 * The log of events (06 §7): the one thing that everything else is computed from.
 *
 * 1. Numbers have no gap and are in the order of commits: they are taken under the lock of the head, in the transaction
 *    that writes the events, and a rollback gives them back.
 * 2. What is written is never encoded again: the same bytes go to the table, to whoever follows, and to the replay.
 * 3. Views are written in the same transaction, by the writer that replays them.
 */
import { ArtifactError } from '../artifact-error.ts'
import type { Session, Tx } from '../db/spi.ts'
import { chainDigest, type Event, encodePayload, type NewEvent, payloadDigest } from './event.ts'
import { insert, listEvents, listSizes, reserve, setChain } from './statements.ts'
import { applyEvent } from './views/apply.ts'
import { ViewRows } from './views/view-rows.ts'

/** How much is read at a time, whoever reads. */
const page = { eventsMax: 500, bytesMax: 8 * 1024 * 1024 } as const

/**
 * Writes events and what they change in the views. Last in a transaction, after everything that can fail.
 *
 * @param now milliseconds since the epoch
 * @throws ArtifactError `not_canonical`
 */
export async function writeEvents(tx: Tx, events: readonly NewEvent[], now: number): Promise<readonly Event[]> {
  const payloads = events.map(({ payload }) => encodePayload(payload))
  const head = await reserve(tx, events.length, now)
  const views = new ViewRows(tx)
  const written: Event[] = []
  let chain = head.lastChainDigest
  for (const [index, { event_type, subject_kind, subject_id, actor }] of events.entries()) {
    const payload = payloads[index] as Uint8Array
    const sequence = head.lastSequence - events.length + index + 1
    const fields = { sequence, created_at: head.lastCreatedAt, event_type, subject_kind, subject_id, actor }
    const digested = { ...fields, payload_digest: payloadDigest(payload) }
    chain = chainDigest(chain, digested)
    const event = { ...digested, payload, chain_digest: chain }
    await insert(tx, event)
    await applyEvent(views, event)
    written.push(event)
  }
  await views.flush()
  await setChain(tx, chain)
  return written
}

/**
 * The next events after a number, as many as are read at a time; none at the end of the log.
 *
 * @throws ArtifactError `log_gap`: a number is missing
 */
export async function readEvents(
  session: Session,
  o: { readonly after: number; readonly upTo?: number },
): Promise<readonly Event[]> {
  const upTo = o.upTo ?? Number.MAX_SAFE_INTEGER
  const sizes = await listSizes(session, { after: o.after, upTo, eventsMax: page.eventsMax })
  let bytes = 0
  let last = o.after
  for (const size of sizes) {
    if (size.sequence !== last + 1) throw logGap(last + 1)
    bytes += size.bytes
    // The first goes in whatever its size.
    if (bytes > page.bytesMax && last > o.after) break
    last = size.sequence
  }
  return last === o.after ? [] : listEvents(session, { after: o.after, upTo: last })
}

function logGap(sequence: number): ArtifactError {
  return new ArtifactError('log_gap', { detail: `The log of events has no event ${sequence}.`, data: { sequence } })
}
