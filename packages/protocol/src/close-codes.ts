/** What a daemon does when a broker closes its connection with a code of ours. */
export type AfterClose = 'reconnect' | 'exit' | 'wait'

export interface CloseDefinition {
  readonly code: number
  readonly name: string
  readonly after: AfterClose
}

/**
 * The close codes of the wire protocol (02 §7). `exit`: the daemon flushes, says why, and leaves; trying again would
 * meet the same answer. `wait`: another host uses the identity, so it comes back slowly instead of fighting (05 §2).
 */
export const closeCodes = {
  normal: { code: 1000, name: 'normal', after: 'reconnect' },
  protocol_violation: { code: 1008, name: 'protocol_violation', after: 'reconnect' },
  service_restart: { code: 1012, name: 'service_restart', after: 'reconnect' },
  unauthenticated: { code: 4001, name: 'unauthenticated', after: 'reconnect' },
  replaced_by_newer_connection: { code: 4003, name: 'replaced_by_newer_connection', after: 'wait' },
  member_already_connected: { code: 4004, name: 'member_already_connected', after: 'wait' },
  member_revoked: { code: 4005, name: 'member_revoked', after: 'exit' },
  slow_consumer: { code: 4008, name: 'slow_consumer', after: 'reconnect' },
  feature_unavailable: { code: 4010, name: 'feature_unavailable', after: 'exit' },
  feature_param_invalid: { code: 4011, name: 'feature_param_invalid', after: 'exit' },
  feature_param_below_floor: { code: 4012, name: 'feature_param_below_floor', after: 'exit' },
} as const satisfies Record<string, CloseDefinition>

export type CloseName = keyof typeof closeCodes

const byCode = new Map<number, CloseDefinition>(Object.values(closeCodes).map((entry) => [entry.code, entry]))

/** The definition of a close code, or null for one that is not ours (1006 and other accidents of the network). */
export function closeByCode(code: number): CloseDefinition | null {
  return byCode.get(code) ?? null
}
