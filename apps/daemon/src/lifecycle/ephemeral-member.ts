/**
 * A member that lasts as long as its daemon (05 §5): its keys are in memory only, it leaves the mesh at the end, and the
 * broker removes it when its lease runs out without that.
 *
 * 1. When the daemon is up, no secret key of it is on the disk any more. A start that fails leaves them for the next one.
 * 2. At the end it lets out what waits, as long as the time for closing allows; what then still waits can be sent by
 *    nobody, and the log says how much that was.
 * 3. Nothing of it stays in the home but log and configuration.
 */
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MeshError } from '@claudemesh/protocol'
import { syncDirectory } from '@claudemesh/storage'
import { ephemeralDrainMsMax, ephemeralLeaveMsMax } from '../limits.ts'
import type { Link } from '../link/link.ts'
import type { Log } from '../log.ts'
import { type EphemeralPlace, forgetEphemeral } from '../operate/forget-ephemeral.ts'
import type { Outbox } from '../outbox/outbox.ts'

export class EphemeralMember {
  readonly #place: EphemeralPlace
  readonly #log: Log
  #hasTakenKeys = false

  constructor(o: { readonly place: EphemeralPlace; readonly log: Log }) {
    this.#place = o.place
    this.#log = o.log
  }

  /** Takes the keys, which are in memory by now, off the disk. */
  takeKeys(keypair: string): void {
    rmSync(keypair, { force: true })
    syncDirectory(dirname(keypair))
    this.#hasTakenKeys = true
  }

  /** Waits until everything was sent, within bounds. */
  async drain(outbox: Outbox): Promise<void> {
    const isEmpty = () => outbox.counts().pending + outbox.counts().inflight === 0
    if (isEmpty()) return
    const over = new AbortController()
    await new Promise<void>((resolve) => {
      const stopListening = outbox.onChange(() => {
        if (isEmpty()) over.abort()
      })
      void delay(ephemeralDrainMsMax, undefined, { signal: over.signal })
        .catch(() => undefined)
        .finally(() => {
          stopListening()
          resolve()
        })
    })
  }

  /** Tells the broker that the member leaves for good; without an answer its lease does. */
  async leave(link: Link, outbox: Outbox): Promise<void> {
    if (!this.#hasTakenKeys) return
    const { pending, inflight } = outbox.counts()
    if (pending + inflight > 0) this.#log.error({ rows: pending + inflight }, 'ephemeral_messages_unsent')
    const patience = new AbortController()
    const over = delay(ephemeralLeaveMsMax, 'over' as const, { signal: patience.signal }).catch(() => 'over' as const)
    try {
      const outcome = await Promise.race([link.request('members.leave', {}), over])
      this.#log.info({ answered: outcome !== 'over' }, 'ephemeral_member_left')
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      this.#log.warn({ err: error }, 'ephemeral_member_left_to_its_lease')
    } finally {
      patience.abort()
    }
  }

  /** Removes what is left of it, when every store is closed. A start that failed has changed nothing. */
  forget(): void {
    if (this.#hasTakenKeys) forgetEphemeral(this.#place)
  }
}
