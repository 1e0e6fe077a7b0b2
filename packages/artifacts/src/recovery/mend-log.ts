/**
 * A log of which events are lost, as one that can be replayed again (06 §5).
 *
 * 1. An event that is there and shown to be what was written keeps its number, its time and its payload. The chain is
 *    computed anew from the first lost one on.
 * 2. The number of one that is lost, or that rests on what is lost, is that of an event which says so and changes nothing:
 *    who follows the log by numbers misses nothing.
 * 3. What is not shown is not believed: an event whose payload has another digest, or whose fields do not fit to the chain
 *    before and after it, is lost.
 */

import { MeshError } from '@claudemesh/protocol'
import { ArtifactError } from '../artifact-error.ts'
import { encodeCanonical } from '../canon/cbor.ts'
import type { Tx } from '../db/spi.ts'
import { chainDigest, chainStart, type Event, payloadDigest, payloadOf } from '../events/event.ts'
import { listEvents } from '../events/statements.ts'
import { applyEvent } from '../events/views/apply.ts'
import { ViewRows } from '../events/views/view-rows.ts'
import type { Manifest } from '../manifest/manifest-schema.ts'
import { hasPackage, putEvent, setHead } from './statements.ts'

export interface MendedLog {
  /** Events that are what they were. */
  readonly kept: number
  /** Numbers whose events are lost. */
  readonly lost: number
  /** Manifests and signatures whose packages have lost their beginning, in order: they are in the log no more. */
  readonly rootless: readonly Event[]
}

/** Types of events that are enough to bring a package back, and to say who has signed it. */
const sealing: ReadonlySet<string> = new Set(['v1.package.finalized', 'v1.package.signed'])

/** What stands for an event that is lost. */
const lostType = 'v1.log.event_lost'

/**
 * Fills the views, which are empty, on the way.
 *
 * @param lastSequence how far the log went, as far as anybody knows
 */
export async function mendLog(tx: Tx, lastSequence: number): Promise<MendedLog> {
  const rootless: Event[] = []
  let [kept, lastCreatedAt] = [0, 0]
  let chain = chainStart
  /** The chain as it was; null behind an event that is gone. */
  let original: Uint8Array | null = chainStart
  let found: Event | null = (await listEvents(tx, { after: 0, upTo: 1 }))[0] ?? null
  for (let sequence = 1; sequence <= lastSequence; sequence += 1) {
    const next: Event | null = (await listEvents(tx, { after: sequence, upTo: sequence + 1 }))[0] ?? null
    const shown: Event | null = found === null ? null : showEvent(found, { before: original, next })
    original = shown?.chain_digest ?? found?.chain_digest ?? null
    const isKept = shown !== null && (await applyAlone(tx, shown))
    if (isKept) kept += 1
    else if (shown !== null && sealing.has(shown.event_type)) rootless.push(shown)
    const event = isKept ? shown : lostEvent(sequence, lastCreatedAt)
    chain = chainDigest(chain, event)
    if (!isKept || !isEqual(chain, found?.chain_digest ?? chainStart))
      await putEvent(tx, { ...event, chain_digest: chain })
    lastCreatedAt = event.created_at
    found = next
  }
  await setHead(tx, { lastSequence, lastCreatedAt, lastChainDigest: chain })
  return { kept, lost: lastSequence - kept, rootless }
}

/**
 * An event as it was written, if that can be shown.
 *
 * @param o `before`: the chain before it, as it was; null: that is lost, and the payload must do
 */
function showEvent(found: Event, o: { readonly before: Uint8Array | null; readonly next: Event | null }): Event | null {
  if (!isEqual(payloadDigest(found.payload), found.payload_digest)) return null
  if (o.before === null) return found
  const chain_digest = chainDigest(o.before, found)
  if (isEqual(chain_digest, found.chain_digest)) return found
  // Its chain digest may be what was changed: then the next event knows the right one.
  const isKnown = o.next !== null && isEqual(chainDigest(chain_digest, o.next), o.next.chain_digest)
  return isKnown ? { ...found, chain_digest } : null
}

/** @returns false: the event rests on one that is lost, and nothing was changed */
async function applyAlone(tx: Tx, event: Event): Promise<boolean> {
  const outcome = await tx.attempt(async () => {
    const packageId = packageOf(event)
    if (packageId !== null && !(await hasPackage(tx, packageId))) throw new Error('its package is lost')
    const views = new ViewRows(tx)
    await applyEvent(views, event)
    await views.flush()
  })
  if (outcome.ok) return true
  const { error } = outcome
  // The disk is another matter than the log.
  if (error instanceof MeshError && !(error instanceof ArtifactError)) throw error
  return false
}

/** The package that must be there before the event. */
function packageOf(event: Event): string | null {
  const { event_type, subject_kind } = event
  if (event_type === 'v1.package.created' || subject_kind === 'share') return null
  const payload = payloadOf(event)
  if (event_type === 'v1.package.finalized') return (payload as unknown as Manifest).package.package_id
  const packageId = payload['package_id']
  return typeof packageId === 'string' ? packageId : null
}

function lostEvent(sequence: number, created_at: number): Omit<Event, 'chain_digest'> {
  const payload = encodeCanonical({})
  const subject = { subject_kind: 'log', subject_id: 'log', actor: 'recover' }
  return { sequence, created_at, event_type: lostType, ...subject, payload, payload_digest: payloadDigest(payload) }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0
}
