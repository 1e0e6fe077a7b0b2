import {
  type DedupeMode,
  MeshError,
  maxAgeHours,
  maxAgeHoursBeforeNegotiation,
  maxAgeOverrideLimitHours,
} from '@claudemesh/protocol'
import type { DaemonConfig } from '../config/config.ts'

/** What the broker said last about how long it remembers message ids; null when no broker ever said anything. */
export type DedupePromise = { readonly mode: DedupeMode; readonly retentionDays: number | null } | null

/** How old a message may grow in the outbox, in hours (02 §6). Before any negotiation an override cannot prolong it. */
export function effectiveMaxAgeHours(outbox: DaemonConfig['outbox'], promise: DedupePromise): number {
  if (promise === null) return Math.min(outbox.maxAgeHoursOverride ?? Infinity, maxAgeHoursBeforeNegotiation)
  return outbox.maxAgeHoursOverride ?? maxAgeHours(toDedupe(promise), outbox.maxAgeHoursDefault)
}

/**
 * Refuses an override that outlives the broker's memory: a message sent again after that would arrive twice.
 *
 * @throws MeshError outbox_max_age_above_dedupe_window
 */
export function assertMaxAgeOverride(outbox: DaemonConfig['outbox'], promise: DedupePromise): void {
  const override = outbox.maxAgeHoursOverride
  if (override === null || promise === null || promise.retentionDays === null) return
  const limit = maxAgeOverrideLimitHours(promise.retentionDays)
  if (override <= limit) return
  throw new MeshError('outbox_max_age_above_dedupe_window', {
    detail: `outbox.max_age_hours_override is ${override}; this broker remembers ids for ${promise.retentionDays} days`,
    hint: `Lower it to at most ${limit}.`,
  })
}

function toDedupe(promise: NonNullable<DedupePromise>): Parameters<typeof maxAgeHours>[0] {
  if (promise.mode === 'permanent' || promise.retentionDays === null) return { mode: 'permanent' }
  return { mode: 'retention_scoped', retentionDays: promise.retentionDays }
}
