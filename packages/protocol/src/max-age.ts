/** How a broker forgets message ids: after a number of days, or never. */
export type DedupeMode = 'retention_scoped' | 'permanent'

/** The lowest `dedupe_retention_days` a daemon works with. */
export const dedupeRetentionDaysMin = 7
/** What applies before the first negotiation with a broker. */
export const maxAgeHoursBeforeNegotiation = 144
const maxAgeHoursPermanentCap = 720

/**
 * How old a message may grow in the outbox before it can no longer be sent safely once (02 §6): the time that the
 * broker surely remembers its id, less a margin for clocks and long journeys.
 *
 * @param permanentDefaultHours `outbox.max_age_hours_default`, used when the broker never forgets
 * @returns hours
 */
export function maxAgeHours(
  dedupe: { readonly mode: 'permanent' } | { readonly mode: 'retention_scoped'; readonly retentionDays: number },
  permanentDefaultHours: number,
): number {
  if (dedupe.mode === 'permanent') return Math.min(permanentDefaultHours, maxAgeHoursPermanentCap)
  const windowHours = dedupe.retentionDays * 24
  // Divided last: a tenth has no exact binary form, and 70 days would lose an hour to it.
  return windowHours - Math.max(24, Math.ceil(windowHours / 10))
}

/** The largest `outbox.max_age_hours_override` that a dedupe window allows. */
export function maxAgeOverrideLimitHours(retentionDays: number): number {
  return retentionDays * 24 - 24
}
