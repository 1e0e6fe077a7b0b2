/** How long packages are kept (06 §13). Every package has had its decision since it was made; it is only ever extended. */
import { ArtifactError } from '../artifact-error.ts'
import type { Limits } from '../config/limits.ts'
import type { Tx } from '../db/spi.ts'
import type { NewEvent } from '../events/event.ts'
import type { EventLog } from '../events/event-log.ts'
import {
  type Answer,
  type Asked,
  answerOnce,
  answersMsMax,
  findKeptAnswer,
  keyOf,
  type Repeatable,
} from '../registry/answers/idempotency.ts'
import { forgetAnswers } from '../registry/answers/statements.ts'
import { checkActor, checkReason, invalid } from '../registry/input.ts'
import { packageNotOpen, requirePackage } from '../registry/package.ts'
import { findRetention, type RetentionRow } from '../registry/statements.ts'
import type { Runtime } from '../runtime.ts'
import { findByHold, listExpired } from './statements.ts'

/** Who decides something about a package, and why. */
interface Decision extends Repeatable {
  readonly reason: string
  readonly actor: string
}

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
   * @throws ArtifactError `retention_not_later`, `reason_required`, `package_not_found`, `package_not_open`,
   *   `idempotency_key_reused`
   */
  async extend(packageId: string, o: Decision & { readonly expiresAt: number }): Promise<void> {
    const { actor, reason, key } = this.#check(o)
    const { expiresAt } = o
    if (!Number.isSafeInteger(expiresAt) || expiresAt < 0) throw invalid('expiresAt', 'is a time in milliseconds')
    const asked = { key, operation: 'extend', request: [packageId, expiresAt, reason, actor] }
    await this.#change(packageId, { ...asked, actor }, (retention) => {
      const previous = retention.current_expires_at
      if (previous === null || expiresAt <= previous) throw new ArtifactError('retention_not_later')
      const payload = { package_id: packageId, previous_expires_at: previous, new_expires_at: expiresAt, reason }
      return { event: { event_type: 'v1.retention.extended', payload }, answer: {} }
    })
  }

  /** Keeps a package until the hold is released. @returns the hold's id @throws ArtifactError `hold_active`, as `extend` */
  async hold(packageId: string, o: Decision): Promise<string> {
    const { actor, reason, key } = this.#check(o)
    const asked = { key, operation: 'hold', request: [packageId, reason, actor] }
    const { holdId } = await this.#change(packageId, { ...asked, actor }, (retention) => {
      if (retention.active_hold_id !== null) {
        throw new ArtifactError('hold_active', { data: { hold_id: retention.active_hold_id } })
      }
      const holdId = this.#runtime.nextId()
      const payload = { package_id: packageId, hold_id: holdId, reason }
      return { event: { event_type: 'v1.retention.hold_applied', payload }, answer: { holdId } }
    })
    return holdId
  }

  /** @throws ArtifactError `hold_unknown`, `reason_required`, `idempotency_key_reused` */
  async release(holdId: string, o: Decision): Promise<void> {
    const { actor, reason, key } = this.#check(o)
    const asked = { key, operation: 'release', request: [holdId, reason, actor] }
    const now = this.#runtime.now()
    // Of a hold that was released nothing tells any more which package it held.
    if ((await this.#log.read((session) => findKeptAnswer(session, { ...asked, now }))) !== null) return
    const held = await this.#log.read((session) => findByHold(session, holdId))
    if (held === null) throw new ArtifactError('hold_unknown')
    await this.#change(held.package_id, { ...asked, actor }, (retention) => {
      if (retention.active_hold_id !== holdId) throw new ArtifactError('hold_unknown')
      const payload = { package_id: held.package_id, hold_id: holdId, reason }
      return { event: { event_type: 'v1.retention.hold_released', payload }, answer: {} }
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

  async #change<T extends Answer>(
    packageId: string,
    { actor, ...asked }: Omit<Asked, 'now'> & { readonly actor: string },
    decide: (retention: RetentionRow) => {
      readonly event: Pick<NewEvent, 'event_type' | 'payload'>
      readonly answer: T
    },
  ): Promise<T> {
    return this.#log.submit({
      packageIds: [packageId],
      run: (tx) =>
        answerOnce(tx, { ...asked, now: this.#runtime.now() }, async () => {
          const { status } = await requirePackage(tx, packageId)
          if (status === 'garbage_collected') throw packageNotOpen(status)
          const retention = await findRetention(tx, packageId)
          if (retention === null) throw new Error('a package without a decision about its expiry')
          const { event, answer } = decide(retention)
          await this.#log.write(tx, [{ ...event, subject_kind: 'package', subject_id: packageId, actor }])
          return answer
        }),
    })
  }

  #check(o: Decision) {
    return { actor: checkActor(o.actor), reason: checkReason(o.reason, this.#limits), key: keyOf(o) }
  }
}
