/**
 * Seats in rows that every node sees. Whoever decides about a member's seats holds the lock of its row in `member`; of
 * several members the locks are taken in the order of their keys.
 */

import type { Pool, Session } from '@claudemesh/storage/postgres'
import { unacknowledgedItemsMax } from '../../../limits.ts'
import { judgeSeat } from '../../judge-seat.ts'
import type { MemberKey } from '../../rows.ts'
import type { SeatKey, SeatOutcome, SeatRequest, Seats } from '../../seats.ts'
import { renewLeases } from '../departure/statements.ts'
import {
  addSeat,
  arrive,
  beat,
  beginAbsences,
  beginNode,
  deleteEndedNodes,
  endAbsences,
  endNode,
  endSeats,
  endSilentNodes,
  freeClaims,
  keepNode,
  listEnded,
  listFreed,
  listSeated,
  listSeatsOf,
  listWaiting,
  lockMembers,
  openSeat,
  removeSeats,
} from './statements.ts'

/** A member with two connections has the claims of both among its first rows. */
const claimsMax = 4 * unacknowledgedItemsMax

export class PostgresSeats implements Seats {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  beginNode(node: { readonly nodeId: string; readonly deadAfterMs: number }) {
    return this.#pool.write((session) => beginNode(session, node))
  }

  beat(nodeId: string) {
    return this.#pool.write((session) => beat(session, nodeId), { durable: false })
  }

  endNode(nodeId: string) {
    return this.#pool.write((session) => endNode(session, nodeId))
  }

  take(request: SeatRequest) {
    return this.#pool.write((session) => take(session, request))
  }

  open(seat: SeatKey, now: number) {
    return this.#pool.write(async (session) => {
      await lockMembers(session, [seat])
      return (await openSeat(session, seat.connectionId)) && (await arrive(session, seat, now))
    })
  }

  leave(seat: SeatKey, now: number) {
    return this.#pool.write((session) => leave(session, [seat], now))
  }

  listEnded(nodeId: string) {
    return this.#pool.read((session) => listEnded(session, nodeId))
  }

  listWaiting(nodeId: string, now: number) {
    return this.#pool.read((session) => listWaiting(session, nodeId, now))
  }

  listSeated(members: readonly MemberKey[]) {
    return this.#pool.read((session) => listSeated(session, members))
  }

  freeDead(options: { deadAfterMs: number; now: number; rowsMax: number }) {
    return this.#pool.write(async (session) => {
      await endSilentNodes(session, options.deadAfterMs)
      const freed = await listFreed(session, options.rowsMax)
      if (freed.length > 0) {
        await leave(session, freed, options.now)
        await freeClaims(session, { seats: freed, rowsMax: claimsMax })
        await renewLeases(session, freed, options.now)
      }
      await deleteEndedNodes(session)
      return freed.map(({ meshId, memberId }) => ({ meshId, memberId }))
    })
  }

  endAbsences(options: { now: number; graceMs: number; rowsMax: number }) {
    return this.#pool.write((session) => endAbsences(session, options))
  }
}

async function take(session: Session, request: SeatRequest): Promise<SeatOutcome> {
  if (!(await keepNode(session, request.nodeId))) return { kind: 'node_ended' }
  await lockMembers(session, [request])
  const outcome = judgeSeat(request, await listSeatsOf(session, request))
  if (outcome.kind === 'refused') return outcome
  const { ended } = outcome
  if (ended.length > 0) await endSeats(session, ended)
  // They claim nothing more from now on. What they have, or one that is over and could not give it back, goes to the new
  // connection first, so that it is in order.
  const held = request.policy === 'allow_concurrent' ? ended : [{ ...request, connectionId: '' }]
  if (held.length > 0) await freeClaims(session, { seats: held, rowsMax: claimsMax })
  await addSeat(session, request)
  return outcome
}

async function leave(session: Session, seats: readonly SeatKey[], now: number): Promise<void> {
  await lockMembers(session, seats)
  await removeSeats(session, seats)
  await beginAbsences(session, seats, now)
}
