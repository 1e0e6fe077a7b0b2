/**
 * The life of a watermark: how far a sink has a partition, and what is on its way (08 §2).
 *
 *      begin            intend             advance
 *     none ──► idle ─────────────► intended ───────► idle
 *      └────────┴──────────────────────┴──── reset ──► idle
 *
 * - idle       The destination has every row up to `acked`, and nothing behind it was ever shipped.
 * - intended   The range behind `acked` up to `until` is fixed, with its chunks and their ids. The destination may have any
 *              of them: whoever goes on ships all of them again, the same bytes under the same ids.
 */
import { type Static, Type } from 'typebox'

const seq = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const count = seq

const chunkSchema = Type.Object(
  {
    since: seq,
    until: seq,
    /** Among rows without a sequence, how many of them are in earlier chunks. */
    offset: count,
    rows: count,
    /** The time of its first row: names of objects have it. */
    at: count,
    /** By which the destination knows the chunk. */
    batch_id: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { additionalProperties: false },
)

const intentSchema = Type.Object(
  { unit: Type.String(), since: seq, until: seq, chunks: Type.Array(chunkSchema), started_at: count },
  { additionalProperties: false },
)

export const watermarkSchema = Type.Object(
  {
    v: Type.Literal(1),
    acked: Type.Object({ seq }, { additionalProperties: false }),
    intent: Type.Union([Type.Null(), intentSchema]),
    /** Exported so far. */
    rows: count,
    /** Deleted before they were exported. */
    lost: count,
    updated_at: count,
  },
  { additionalProperties: false },
)

export type Chunk = Static<typeof chunkSchema>
export type Intent = Static<typeof intentSchema>
export type Watermark = Static<typeof watermarkSchema>

type State = 'none' | 'idle' | 'intended'

const moves = {
  begin: { from: ['none'], to: 'idle' },
  intend: { from: ['idle'], to: 'intended' },
  advance: { from: ['intended'], to: 'idle' },
  reset: { from: ['none', 'idle', 'intended'], to: 'idle' },
} as const satisfies Record<string, { readonly from: readonly State[]; readonly to: State }>

type WatermarkMove = keyof typeof moves

export function stateOf(watermark: Watermark | null): State {
  if (watermark === null) return 'none'
  return watermark.intent === null ? 'idle' : 'intended'
}

/** The watermark of a partition of which nothing was exported. @throws Error when there is one: a mistake of ours */
export function begin(watermark: Watermark | null, o: { readonly at: number }): Watermark {
  assertMove('begin', watermark)
  return { v: 1, acked: { seq: 0 }, intent: null, rows: 0, lost: 0, updated_at: o.at }
}

/** Fixes what is shipped next. @throws Error when something is on its way, or when it does not begin at `acked` */
export function intend(watermark: Watermark, intent: Intent): Watermark {
  assertMove('intend', watermark)
  if (intent.since !== watermark.acked.seq) throw new Error('an intent begins where the watermark is')
  return { ...watermark, intent, updated_at: intent.started_at }
}

/** The destination has made all of the intent durable. @throws Error when there is none */
export function advance(
  watermark: Watermark,
  o: { readonly rows: number; readonly lost: number; readonly at: number },
): Watermark {
  assertMove('advance', watermark)
  const { intent, rows, lost } = watermark
  if (intent === null) throw new Error('there is no intent')
  return {
    v: 1,
    acked: { seq: intent.until },
    intent: null,
    rows: rows + o.rows,
    lost: lost + o.lost,
    updated_at: o.at,
  }
}

/** An operator decides how far the destination has the partition. */
export function reset(watermark: Watermark | null, o: { readonly to: number; readonly at: number }): Watermark {
  assertMove('reset', watermark)
  const { rows = 0, lost = 0 } = watermark ?? {}
  return { v: 1, acked: { seq: o.to }, intent: null, rows, lost, updated_at: o.at }
}

/** Whether its parts agree: an intent begins at `acked`, and its chunks follow one another up to its end. */
export function isConsistent({ acked, intent }: Watermark): boolean {
  if (intent === null) return true
  let reached = intent.since
  for (const { since, until } of intent.chunks) {
    if (since !== reached || until < since) return false
    reached = until
  }
  return intent.since === acked.seq && reached <= intent.until
}

function assertMove(name: WatermarkMove, watermark: Watermark | null): void {
  const from = stateOf(watermark)
  const allowed: readonly State[] = moves[name].from
  if (!allowed.includes(from)) throw new Error(`a watermark cannot ${name} from ${from}`)
}
