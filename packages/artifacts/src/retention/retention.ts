/** How long packages are kept (06 §13). Every package has had its decision since it was made; it is only ever extended. */
import { ArtifactError } from '../artifact-error.ts'
import type { Limits } from '../config/limits.ts'
import type { Tx } from '../db/spi.ts'
import type { NewEvent } from '../events/event.ts'
import type { EventLog } from '../events/event-log.ts'
import { answersMsMax } from '../registry/answers/idempotency.ts'
import { forgetAnswers } from '../registry/answers/statements.ts'
import { checkActor, checkReason, invalid } from '../registry/input.ts'
import { packageNotOpen, requirePackage } from '../registry/package.ts'
import { findRetention, type RetentionRow } from '../registry/statements.ts'
import type { Runtime } from '../runtime.ts'
import { findByHold, listExpired } from './statements.ts'

/** Packages that are marked in one transaction. */
const markedMax = 100

export class RetentionKeeper {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #limits: Limits

  constructor(o: { readonly log: EventLog; readonly runtime: Runtime; readonly limits: Limits }) {
    this.#log = o.log
    this.#runtime = o.runtime
    this.#limits = o.limits
  }

  /**
   * Keeps a package longer than it would be.
   *
   * @param o `expiresAt` milliseconds since the epoch, UTC
   * @throws ArtifactError `retention_not_later`, `reason_required`, `package_not_found`, `package_not_open`
   */
  async extend(
    packageId: string,
    o: { readonly expiresAt: number; readonly reason: string; readonly actor: string },
  ): Promise<void> {
    const actor = checkActor(o.actor)
    const reason = checkReason(o.reason, this.#limits)
    const { expiresAt } = o
    if (!Number.isSafeInteger(expiresAt) || expiresAt < 0) throw invalid('expiresAt', 'is a time in milliseconds')
    await this.#change(packageId, actor, (retention) => {
      const previous = retention.current_expires_at
      if (previous === null || expiresAt <= previous) throw new ArtifactError('retention_not_later')
      const payload = { package_id: packageId, previous_expires_at: previous, new_expires_at: expiresAt, reason }
      return { event_type: 'v1.retention.extended', payload }
    })
  }

  /** Keeps a package until the hold is released. @returns the hold's id @throws ArtifactError `hold_active`, as `extend` */
  async hold(packageId: string, o: { readonly reason: string; readonly actor: string }): Promise<string> {
    const actor = checkActor(o.actor)
    const reason = checkReason(o.reason, this.#limits)
    const holdId = this.#runtime.nextId()
    await this.#change(packageId, actor, (retention) => {
      if (retention.active_hold_id !== null) {
        throw new ArtifactError('hold_active', { data: { hold_id: retention.active_hold_id } })
      }
      return { event_type: 'v1.retention.hold_applied', payload: { package_id: packageId, hold_id: holdId, reason } }
    })
    return holdId
  }

  /** @throws ArtifactError `hold_unknown`, `reason_required` */
  async release(holdId: string, o: { readonly reason: string; readonly actor: string }): Promise<void> {
    const actor = checkActor(o.actor)
    const reason = checkReason(o.reason, this.#limits)
    const held = await this.#log.read((session) => findByHold(session, holdId))
    if (held === null) throw new ArtifactError('hold_unknown')
    await this.#change(held.package_id, actor, (retention) => {
      if (retention.active_hold_id !== holdId) throw new ArtifactError('hold_unknown')
      const payload = { package_id: held.package_id, hold_id: holdId, reason }
      return { event_type: 'v1.retention.hold_released', payload }
    })
  }

  /**
   * Marks packages that are past their expiry and not held; it deletes nothing of them. Answers that nobody can ask for
   * again are forgotten on the way.
   *
   * @returns ids of those that were marked
   */
  async sweep(now: number, o: { readonly actor: string }): Promise<readonly string[]> {
    const actor = checkActor(o.actor)
    const marked: string[] = []
    for (;;) {
      const expired = await this.#log.read((session) => listExpired(session, now, markedMax))
      const found = await this.#log.submit({
        packageIds: expired,
        run: (tx) => this.#mark(tx, { expired, now, actor }),
      })
      if (found.length === 0) break
      marked.push(...found)
    }
    await this.#log.submit({ run: (tx) => forgetAnswers(tx, now - answersMsMax) })
    return marked
  }

  async #mark(
    tx: Tx,
    o: { readonly expired: readonly string[]; readonly now: number; readonly actor: string },
  ): Promise<readonly string[]> {
    const events: NewEvent[] = []
    for (const packageId of o.expired) {
      const retention = await findRetention(tx, packageId)
      const expiresAt = retention?.current_expires_at ?? null
      // Held or extended since it was looked at.
      if (retention === null || expiresAt === null || expiresAt > o.now || retention.active_hold_id !== null) continue
      const payload = { package_id: packageId, expires_at: expiresAt, marked_at: o.now }
      const subject = { subject_kind: 'package' as const, subject_id: packageId, actor: o.actor }
      events.push({ event_type: 'v1.retention.eligibility_marked', ...subject, payload })
    }
    if (events.length > 0) await this.#log.write(tx, events)
    return events.map(({ subject_id }) => subject_id)
  }

  async #change(
    packageId: string,
    actor: string,
    decide: (retention: RetentionRow) => Pick<NewEvent, 'event_type' | 'payload'>,
  ): Promise<void> {
    await this.#log.submit({
      packageIds: [packageId],
      run: async (tx) => {
        const { status } = await requirePackage(tx, packageId)
        if (status === 'garbage_collected') throw packageNotOpen(status)
        const retention = await findRetention(tx, packageId)
        if (retention === null) throw new Error('a package without a decision about its expiry')
        const event = decide(retention)
        await this.#log.write(tx, [{ ...event, subject_kind: 'package', subject_id: packageId, actor }])
      },
    })
  }
}
