import { type DedupeMode, MeshError } from '@claudemesh/protocol'
import type { ConcurrencyPolicy, Mesh } from './store/rows.ts'

/** What a mesh runs with unless its own row says otherwise. */
export interface MeshSettings {
  readonly dedupeMode: DedupeMode
  readonly dedupeRetentionDays: number
  readonly messageRetentionDays: number
  readonly concurrencyPolicy: ConcurrencyPolicy
  /** Bytes of the blobs that the broker keeps for the mesh. */
  readonly blobQuotaBytes: number
}

const dayMs = 86_400_000

/** What holds for one mesh: its own settings, and the broker's where it has none. */
export function settingsOf(mesh: Mesh, defaults: MeshSettings): MeshSettings {
  return {
    dedupeMode: mesh.dedupeMode ?? defaults.dedupeMode,
    dedupeRetentionDays: mesh.dedupeRetentionDays ?? defaults.dedupeRetentionDays,
    messageRetentionDays: mesh.messageRetentionDays ?? defaults.messageRetentionDays,
    concurrencyPolicy: mesh.concurrencyPolicy ?? defaults.concurrencyPolicy,
    blobQuotaBytes: mesh.blobQuotaBytes ?? defaults.blobQuotaBytes,
  }
}

/**
 * Refuses settings under which a message would be kept for longer than its id: the id may not be forgotten before, so
 * the broker would remember ids for longer than it tells the daemons.
 *
 * @param whose where the settings stand, for people
 * @throws MeshError `config_invalid`
 */
export function assertRetention(settings: MeshSettings, whose: string): void {
  const { dedupeMode, dedupeRetentionDays, messageRetentionDays } = settings
  if (dedupeMode === 'permanent' || messageRetentionDays <= dedupeRetentionDays) return
  throw new MeshError('config_invalid', {
    detail: `${whose}: messages are kept for ${messageRetentionDays} days and their ids for ${dedupeRetentionDays}`,
    data: { field: 'message_retention_days' },
    hint: 'Keep messages at most as long as ids: lower message_retention_days, or raise dedupe_retention_days.',
  })
}

/** When a message id seen now may be forgotten; null: never. */
export function dedupeExpiry(settings: MeshSettings, now: number): number | null {
  return settings.dedupeMode === 'permanent' ? null : now + settings.dedupeRetentionDays * dayMs
}
