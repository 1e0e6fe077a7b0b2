import type { Frame, SupportedFeatures } from '@claudemesh/protocol'
import type { MeshSettings } from '../settings.ts'
import type { CloseReason } from './close-reason.ts'

/** What this broker offers to a mesh. */
export function offerFeatures(
  settings: MeshSettings,
  /** `blob`: null where there is no relay for larger content. */
  bytesMax: { readonly inline: number; readonly blob: number | null },
): SupportedFeatures {
  return {
    client_message_id_dedupe: {
      version: 2,
      mode: settings.dedupeMode,
      ...(settings.dedupeMode === 'permanent' ? {} : { dedupe_retention_days: settings.dedupeRetentionDays }),
      request_fingerprint: true,
    },
    concurrent_connection_policy: { version: 1, default_policy: settings.concurrencyPolicy },
    member_keypair_rotated_event: { version: 1 },
    // Without a relay a blob is no larger than what travels inline.
    max_payload: { version: 1, inline_bytes: bytesMax.inline, blob_bytes: bytesMax.blob ?? bytesMax.inline },
    mention_index: { version: 1 },
    work_queue: { version: 1 },
    decision_relay: { version: 1 },
    ...(bytesMax.blob === null ? {} : { artifact_relay: { version: 1 } }),
  }
}

/** Answers what a daemon requires. `refusal` says why the connection ends, null when it goes on. */
export function answerNegotiation(
  offered: SupportedFeatures,
  request: Frame<'feature_negotiation_request'>,
): { readonly response: Frame<'feature_negotiation_response'>; readonly refusal: CloseReason | null } {
  const missing = request.require.filter((bit) => !Object.hasOwn(offered, bit))
  const [feature] = missing
  return {
    response: { type: 'feature_negotiation_response', supported: { ...offered }, missing_required: missing },
    refusal:
      feature === undefined
        ? null
        : { kind: 'feature_unavailable', feature, detail: 'this broker does not offer the feature' },
  }
}
