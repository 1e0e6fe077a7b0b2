/**
 * The registered health conditions: a code, how bad it is, a text and the remedy. `daemon status`, `/v1/health` and
 * the metrics print this one list.
 */
import type { Condition } from '@claudemesh/protocol'

type ConditionDefinition = Omit<Condition, 'code'>

export const conditions = {
  link_connecting: {
    severity: 'info',
    text: 'The daemon has just started and is connecting to the broker',
    remedy: 'Nothing to do; should it last, `claudemesh daemon status` says why',
  },
  link_down: {
    severity: 'warning',
    text: 'The daemon is not connected to the broker; sends are kept and go out by themselves',
    remedy: 'Check the network and the broker: `claudemesh broker status`',
  },
  mesh_not_registered: {
    severity: 'error',
    text: 'The broker does not know this mesh, and it is closed to new ones',
    remedy:
      'Start the broker with `--registration open`; this daemon then connects by itself, and the mesh stays known when the broker is closed again',
  },
  broker_address_unknown: {
    severity: 'error',
    text: 'The broker does not answer to the address under which this daemon reaches it',
    remedy: 'Start the broker with `--public-url` and the broker URL of this mesh',
  },
  invite_not_usable: {
    severity: 'error',
    text: 'The invite with which this member joined was no longer good when the broker first saw it',
    remedy:
      'Ask an admin of the mesh for a new one (`claudemesh invite create`), and join with it under another name of the mesh: `claudemesh join <token> --mesh <slug>`',
  },
  identity_refused: {
    severity: 'error',
    text: 'The broker does not accept this member',
    remedy: 'Compare the clocks of both hosts, and see the log of the broker',
  },
  identity_conflict: {
    severity: 'error',
    text: 'Another host is connected with the keys of this member',
    remedy: 'Stop the other daemon, or give one of the two hosts an identity of its own: `claudemesh daemon remint`',
  },
  host_changed: {
    severity: 'warning',
    text: 'The identity in this home was accepted on another host, and [clone] policy lets it run here',
    remedy: '`claudemesh daemon accept-host` if the home has moved, `claudemesh daemon remint` if it was copied',
  },
  host_unknown: {
    severity: 'info',
    text: 'This host cannot be told from others',
    remedy: 'Give it a machine id (`systemd-machine-id-setup`), or take care that its home is not copied',
  },
  key_archive_quarantined: {
    severity: 'warning',
    text: 'The archive of replaced keys could not be used: messages sealed to them cannot be opened',
    remedy: 'Look at the file that was moved aside; restoring an older one from a backup brings the keys back',
  },
  recipients_skipped: {
    severity: 'info',
    text: 'Subscribers of topics get none of the messages, since they cannot be sealed for',
    remedy:
      '`claudemesh daemon logs` names them (recipient_skipped); they must rotate their keys, or an admin revokes them',
  },
  outbox_dead_rows: {
    severity: 'warning',
    text: 'Messages could not be sent and wait for a decision',
    remedy: '`claudemesh daemon outbox list --status dead`, then requeue or drop them',
  },
  disk_pressure_high: {
    severity: 'warning',
    text: 'The disk is more than 80 % full',
    remedy: 'Free space or raise [disk] budget_bytes; above 95 % new sends are refused',
  },
  disk_full: {
    severity: 'error',
    text: 'The disk is more than 95 % full: new sends are refused until there is space',
    remedy: 'Free space or raise [disk] budget_bytes; reading and delivering go on',
  },
  inbox_rebuilt: {
    severity: 'warning',
    text: 'The inbox was damaged and has been made anew; recent messages are fetched again from the broker',
    remedy: 'Look at the file that was moved aside, and remove it when you do not need it',
  },
  send_failed: {
    severity: 'error',
    text: 'Messages wait because the disk refuses to record their sending; they go out when it does not',
    remedy: 'Check the disk and `claudemesh daemon logs`',
  },
  receive_failed: {
    severity: 'error',
    text: 'Messages arrive and cannot be stored; the broker keeps them',
    remedy: 'Check the disk and `claudemesh daemon logs`',
  },
  tcp_unavailable: {
    severity: 'warning',
    text: 'The TCP listener could not be opened; the Unix socket serves as usual',
    remedy: 'Choose another [ipc] http_port, or 0 for any, and restart the daemon',
  },
  history_down: {
    severity: 'error',
    text: 'The history cannot be used; messages are sent and received as usual, and are recorded when it can',
    remedy: 'Put the directory that is named back from a copy, or move it away, and restart the daemon',
  },
  history_cap_passed: {
    severity: 'warning',
    text: 'The history has reached its cap: rows are deleted that a sink has not exported',
    remedy:
      'See what keeps the sink, or raise [history] cap_days and cap_bytes; `claudemesh history stats` says how much is lost',
  },
  artifacts_down: {
    severity: 'error',
    text: 'The store of artifacts cannot be used; messages are not concerned',
    remedy: 'See [artifacts] in `claudemesh daemon config show --effective`, and `claudemesh daemon logs`',
  },
  artifacts_degraded: {
    severity: 'warning',
    text: 'Bytes of artifacts cannot be stored or read',
    remedy: 'Check the disk or the mount of [artifacts] storage_root, and `claudemesh daemon logs`',
  },
  shares_waiting: {
    severity: 'warning',
    text: 'What is shared with others, or by them, waits; it is tried again by itself',
    remedy: 'See `claudemesh artifact shares` and `claudemesh daemon logs`; `claudemesh artifact revoke` gives one up',
  },
  spaces_down: {
    severity: 'error',
    text: 'The repository of decisions cannot be used; messages are not concerned',
    remedy: 'See [spaces] in `claudemesh daemon config show --effective`, and `claudemesh daemon logs`',
  },
  sink_stopped: {
    severity: 'error',
    text: 'A sink exports nothing, since it is not known any more how far it was',
    remedy: '`claudemesh sink status` says why; `claudemesh sink reset` lets it go on',
  },
  sink_failing: {
    severity: 'warning',
    text: 'A sink cannot export; it tries again by itself, and nothing is lost until retention passes its cap',
    remedy: '`claudemesh sink status` says what its destination answers',
  },
  sink_rows_lost: {
    severity: 'info',
    text: 'Rows were deleted before a sink had exported them',
    remedy: 'Raise [history] cap_days or cap_bytes; what is gone is gone',
  },
  hook_waiting: {
    severity: 'warning',
    text: 'A hook cannot run; what it is for waits',
    remedy: 'Mend what is named; `claudemesh daemon hooks list` shows every hook',
  },
  hook_unconfined: {
    severity: 'warning',
    text: 'The sandbox that a hook asks for does not work on this machine',
    remedy:
      'Install it, or set `sandbox_required = true` in its section of hooks.toml, so that the hook waits rather than run without it',
  },
  hook_failing: {
    severity: 'warning',
    text: 'A hook fails',
    remedy: '`claudemesh daemon hooks list` shows how its last run ended and what it wrote',
  },
  hook_events_missed: {
    severity: 'info',
    text: 'Events were removed before a hook had been given them',
    remedy: 'Make the hook faster, or let it run several times at once: `parallel` in its section of hooks.toml',
  },
  config_reload_failed: {
    severity: 'warning',
    text: 'The configuration was changed and cannot be used; the former one stays in force',
    remedy: 'Correct the file and reload again',
  },
  less_safe_setting: {
    severity: 'info',
    text: 'A setting is less safe than its default',
    remedy: 'See `claudemesh daemon config show --effective`',
  },
} as const satisfies Record<string, ConditionDefinition>

export type ConditionCode = keyof typeof conditions

/** What the broker said to a hello that it refused, to the condition that follows. */
const conditionByRefusal: Readonly<Record<string, ConditionCode>> = {
  mesh_unknown: 'mesh_not_registered',
  origin_unknown: 'broker_address_unknown',
  invite_expired: 'invite_not_usable',
  invite_used_up: 'invite_not_usable',
  // The network or a host was too slow; the next hello has a nonce of its own.
  nonce_stale: 'link_down',
  handshake_timeout: 'link_down',
}

/** The condition of a link whose hello was refused. */
export function refusal(kind: string): ConditionCode {
  return conditionByRefusal[kind] ?? 'identity_refused'
}

/** A condition with what is special about this time. */
export function condition(code: ConditionCode, detail?: string): Condition {
  const { severity, text, remedy } = conditions[code]
  return { code, severity, text: detail === undefined ? text : `${text}: ${detail}`, remedy }
}

/** Conditions that somebody found and that last until somebody says otherwise. */
export class Health {
  readonly #raised = new Map<ConditionCode, Condition>()

  raise(code: ConditionCode, detail?: string): void {
    this.#raised.set(code, condition(code, detail))
  }

  clear(code: ConditionCode): void {
    this.#raised.delete(code)
  }

  list(): readonly Condition[] {
    return [...this.#raised.values()]
  }
}
