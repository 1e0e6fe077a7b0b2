/**
 * Computing the views from the log (06 §7), which is checked on the way: digests of payloads, the chain, the numbers.
 *
 * 1. A fault of the log is `log_corrupt` with the first bad event, and the views stay as they were.
 * 2. Readers see the old views or the new ones, never a part.
 * 3. Memory is bounded by a page of events, and between two pages others have their turn.
 */
import { openScratch } from '@claudemesh/storage'
import { ArtifactError } from '../artifact-error.ts'
import type { Database, Session } from '../db/spi.ts'
import { sqliteMigrations } from '../db/sqlite/sqlite-database.ts'
import { SqliteSession } from '../db/sqlite/sqlite-session.ts'
import type { ContentAddress } from '../identity/content-address.ts'
import { chainDigest, chainStart, type Event, payloadDigest } from './event.ts'
import { readEvents } from './log.ts'
import { readHead } from './statements.ts'
import { digestDump, dumpSession, turn } from './views/dump.ts'
import { type ViewWriter, viewWriter } from './views/view-writer.ts'

export interface ReplayResult {
  readonly applied: number
  /** Events of types that this version does not know; they change nothing. */
  readonly unknown: number
  readonly last_sequence: number
  /** Lower-case hexadecimal digits. */
  readonly chain_digest: string
}

/** Goes through the log, checking it, and hands every event on. */
class Replayer {
  #applied = 0
  #unknown = 0
  #sequence = 0
  #chain = chainStart

  /**
   * Applies what there is after the last event so far, up to `upTo` or the end.
   *
   * @throws ArtifactError `log_corrupt`, `log_gap`
   */
  async advance(session: Session, writer: ViewWriter, upTo?: number): Promise<void> {
    const head = await readHead(session)
    const last = Math.min(upTo ?? head.lastSequence, head.lastSequence)
    while (this.#sequence < last) {
      const events = await readNext(session, { after: this.#sequence, upTo: last })
      if (events.length === 0) throw logCorrupt(this.#sequence + 1, 'is missing')
      for (const event of events) {
        this.#check(event)
        if (await writer.apply(event)) this.#applied += 1
        else this.#unknown += 1
      }
      await writer.flush()
      await turn()
    }
    const isWhole = this.#sequence === head.lastSequence
    if (isWhole && Buffer.compare(this.#chain, head.lastChainDigest) !== 0) {
      throw logCorrupt(this.#sequence, 'is not the one that the head of the log says')
    }
  }

  get result(): ReplayResult {
    return {
      applied: this.#applied,
      unknown: this.#unknown,
      last_sequence: this.#sequence,
      chain_digest: Buffer.from(this.#chain).toString('hex'),
    }
  }

  #check(event: Event): void {
    const { sequence } = event
    if (sequence !== this.#sequence + 1) throw logCorrupt(this.#sequence + 1, 'is missing')
    if (Buffer.compare(payloadDigest(event.payload), event.payload_digest) !== 0) {
      throw logCorrupt(sequence, 'has a payload that is not the one of its digest')
    }
    const chain = chainDigest(this.#chain, event)
    if (Buffer.compare(chain, event.chain_digest) !== 0) throw logCorrupt(sequence, 'breaks the chain')
    this.#sequence = sequence
    this.#chain = chain
  }
}

/**
 * Computes all views anew and puts them in the place of those that are there.
 *
 * @throws ArtifactError `log_corrupt`, `busy`, `database_unavailable`
 */
export async function rebuildViews(database: Database): Promise<ReplayResult> {
  let replayer = new Replayer()
  await database.rebuild(async (session, phase) => {
    const writer = viewWriter(session)
    if (phase === 'begin') {
      replayer = new Replayer()
      await writer.reset()
    }
    await replayer.advance(session, writer)
  })
  return replayer.result
}

/** Replays into a writer of the caller's; the store's own views are not touched. */
export async function replayInto(
  database: Database,
  o: { readonly writer: ViewWriter; readonly upTo?: number },
): Promise<ReplayResult> {
  const replayer = new Replayer()
  await o.writer.reset()
  const snapshot = await database.openSnapshot()
  try {
    await replayer.advance(snapshot.session, o.writer, o.upTo)
  } finally {
    await snapshot.close()
  }
  return replayer.result
}

/**
 * Computes the views apart from those that are there, up to an event.
 *
 * @returns what was replayed, and the digest of the views at that event
 */
export async function computeViews(
  database: Database,
  o: { readonly upTo?: number } = {},
): Promise<ReplayResult & { readonly view_state_digest: ContentAddress }> {
  const scratch = openScratch(sqliteMigrations)
  try {
    const session = new SqliteSession(scratch)
    const result = await replayInto(database, { writer: viewWriter(session), ...o })
    return { ...result, view_state_digest: await digestDump(dumpSession(session)) }
  } finally {
    scratch.close()
  }
}

/** A gap is damage here: there is nobody who could still be about to fill it. */
async function readNext(session: Session, o: { readonly after: number; readonly upTo: number }) {
  try {
    return await readEvents(session, o)
  } catch (error) {
    if (!(error instanceof ArtifactError) || error.code !== 'log_gap') throw error
    throw logCorrupt(Number(error.data['sequence']), 'is missing')
  }
}

function logCorrupt(sequence: number, fault: string): ArtifactError {
  return new ArtifactError('log_corrupt', {
    detail: `The log of events is damaged: event ${sequence} ${fault}.`,
    data: { sequence },
  })
}
