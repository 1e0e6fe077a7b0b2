/**
 * Feature negotiation (02 §8): which bits a daemon asks for, what a broker must say about each, and what follows when
 * it does not. A required bit that is missing, ill-typed or of an unknown version is never used half: it is refused
 * with the close code of its kind.
 */
import { type Static, type TObject, Type } from 'typebox'
import type { Validator } from 'typebox/compile'
import type { CloseName } from './close-codes.ts'
import { compileLater } from './compile-later.ts'
import { type DedupeMode, dedupeRetentionDaysMin } from './max-age.ts'

const featureParams = {
  client_message_id_dedupe: Type.Object({
    version: Type.Literal(2),
    mode: Type.Union([Type.Literal('retention_scoped'), Type.Literal('permanent')]),
    dedupe_retention_days: Type.Optional(Type.Integer({ maximum: 1_000_000 })),
    request_fingerprint: Type.Literal(true),
  }),
  concurrent_connection_policy: Type.Object({
    version: Type.Literal(1),
    default_policy: Type.Optional(
      Type.Union([Type.Literal('prefer_newest'), Type.Literal('prefer_oldest'), Type.Literal('allow_concurrent')]),
    ),
  }),
  member_keypair_rotated_event: Type.Object({ version: Type.Literal(1) }),
  max_payload: Type.Object({
    version: Type.Literal(1),
    inline_bytes: Type.Integer({ minimum: 1024, maximum: Number.MAX_SAFE_INTEGER }),
    blob_bytes: Type.Integer({ minimum: 1024, maximum: Number.MAX_SAFE_INTEGER }),
  }),
  mention_index: Type.Object({ version: Type.Literal(1) }),
  work_queue: Type.Object({ version: Type.Literal(1) }),
  artifact_relay: Type.Object({ version: Type.Literal(1) }),
  decision_relay: Type.Object({ version: Type.Literal(1) }),
} as const satisfies Record<string, TObject>

export type FeatureBit = keyof typeof featureParams
export type FeatureParams<B extends FeatureBit> = Static<(typeof featureParams)[B]>
/** What a broker says of each bit it supports. */
export type SupportedFeatures = { readonly [B in FeatureBit]?: FeatureParams<B> }

export const featureBits = Object.keys(featureParams) as readonly FeatureBit[]
/** What a daemon requires unless its configuration says otherwise. */
export const featuresRequiredByDefault: readonly FeatureBit[] = [
  'client_message_id_dedupe',
  'concurrent_connection_policy',
]

interface ParamsCheck {
  readonly whole: () => Validator
  /** The parameters that a broker may leave out. */
  readonly optional: ReadonlyMap<string, () => Validator>
}

const checks = new Map<string, ParamsCheck>(
  Object.entries(featureParams).map(([bit, schema]) => [bit, compileParams(schema)]),
)

/** What both sides agreed on. `inlineBytes` is null when the broker named no limit of its own. */
export interface Agreement {
  readonly dedupe: { readonly mode: DedupeMode; readonly retentionDays: number | null } | null
  readonly features: SupportedFeatures
}

/** Why a negotiation failed; the JSON reason of the close (02 §8). */
export interface NegotiationRefusal {
  readonly kind: Extract<CloseName, 'feature_unavailable' | 'feature_param_invalid' | 'feature_param_below_floor'>
  readonly feature: string
  readonly detail: string
}

export type NegotiationOutcome =
  | { readonly ok: true; readonly agreement: Agreement; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly refusal: NegotiationRefusal }

/**
 * Judges a broker's answer. A bit that is not required and has invalid parameters is left out with a warning; an
 * optional parameter that is invalid is left out of its bit with a warning.
 *
 * @param supported as received: only its being an object of objects is certain
 */
export function negotiate(
  required: readonly string[],
  supported: Readonly<Record<string, unknown>>,
): NegotiationOutcome {
  for (const bit of required) {
    if (!Object.hasOwn(supported, bit)) {
      return refuse('feature_unavailable', bit, 'the broker does not offer this feature')
    }
    const reading = readParams(bit, supported[bit])
    if (!reading.ok) return refuse('feature_param_invalid', bit, reading.fault)
  }
  const features: Record<string, unknown> = {}
  const warnings: string[] = []
  for (const [bit, params] of Object.entries(supported)) {
    if (!checks.has(bit)) continue
    const reading = readParams(bit, params)
    if (!reading.ok) {
      warnings.push(`${bit}: ${reading.fault}; treated as absent`)
      continue
    }
    features[bit] = reading.params
    for (const name of reading.dropped) warnings.push(`${bit}: ${name} is not understood; its default applies`)
  }
  return judgeDedupe(required, features as SupportedFeatures, warnings)
}

const noRetentionDays = 'dedupe_retention_days is not there as a whole number'

function judgeDedupe(required: readonly string[], features: SupportedFeatures, warnings: string[]): NegotiationOutcome {
  const bit = 'client_message_id_dedupe'
  const params = features[bit]
  if (params === undefined) return { ok: true, agreement: { dedupe: null, features }, warnings }
  if (params.mode === 'permanent') {
    return { ok: true, agreement: { dedupe: { mode: 'permanent', retentionDays: null }, features }, warnings }
  }
  const retentionDays = params.dedupe_retention_days
  if (retentionDays === undefined) {
    if (required.includes(bit)) return refuse('feature_param_invalid', bit, noRetentionDays)
    const { [bit]: _, ...rest } = features
    return {
      ok: true,
      agreement: { dedupe: null, features: rest },
      warnings: [...warnings, `${bit}: ${noRetentionDays}; treated as absent`],
    }
  }
  if (retentionDays < dedupeRetentionDaysMin) {
    const detail = `dedupe_retention_days is ${retentionDays}, at least ${dedupeRetentionDaysMin} is needed`
    return refuse('feature_param_below_floor', bit, detail)
  }
  return { ok: true, agreement: { dedupe: { mode: 'retention_scoped', retentionDays }, features }, warnings }
}

type ParamsReading =
  | {
      readonly ok: true
      readonly params: Readonly<Record<string, unknown>>
      /** Optional parameters that were left out because they are invalid. */
      readonly dropped: readonly string[]
    }
  | { readonly ok: false; readonly fault: string }

function readParams(bit: string, params: unknown): ParamsReading {
  const check = checks.get(bit)
  if (check === undefined) return { ok: false, fault: 'this version does not know the feature' }
  if (params === null || typeof params !== 'object') return { ok: false, fault: 'its parameters are not an object' }
  const isUsable = ([name, value]: [string, unknown]) => check.optional.get(name)?.().Check(value) !== false
  const entries = Object.entries(params)
  const usable = Object.fromEntries(entries.filter(isUsable))
  const whole = check.whole()
  if (!whole.Check(usable)) {
    const [fault] = whole.Errors(usable)
    return { ok: false, fault: `params${fault?.instancePath ?? ''} ${fault?.message ?? 'do not fit'}`.slice(0, 96) }
  }
  return { ok: true, params: usable, dropped: entries.filter((entry) => !isUsable(entry)).map(([name]) => name) }
}

function compileParams(schema: TObject): ParamsCheck {
  const optional = Object.entries(schema.properties).filter(([name]) => !schema.required?.includes(name))
  return {
    whole: compileLater(schema),
    optional: new Map(optional.map(([name, param]) => [name, compileLater(param)])),
  }
}

function refuse(kind: NegotiationRefusal['kind'], feature: string, detail: string): NegotiationOutcome {
  return { ok: false, refusal: { kind, feature, detail } }
}
