/**
 * The registered findings of `claudemesh doctor`: a code, how bad it is, a text, and the command that mends it. What a running
 * daemon knows of itself is in its own list (`/v1/health`) and is told with the same words.
 */
import type { Condition } from '@claudemesh/protocol'

const definitions = {
  node_too_old: {
    severity: 'error',
    text: 'This Node is older than what claudemesh runs on',
    remedy: 'Install Node 20.19 or newer, then `npm install --global claudemesh`',
  },
  mesh_file_unusable: {
    severity: 'error',
    text: 'The file of the mesh cannot be used',
    remedy: 'Bring the home back from a backup: `claudemesh daemon restore --in <file>`',
  },
  open_to_others: {
    severity: 'error',
    text: "What is nobody else's business can be read or written by others",
    remedy: 'Close it to others',
  },
  certificate_invalid: {
    severity: 'error',
    text: 'The certificates of this member prove nothing (any more)',
    remedy: 'Join again with a new invite: `claudemesh join <token> --mesh <slug>`',
  },
  certificate_expires: {
    severity: 'warning',
    text: 'A certificate of this member ends soon',
    remedy: 'Ask an admin of the mesh for a new invite (`claudemesh invite create`)',
  },
  daemon_down: {
    severity: 'error',
    text: 'The daemon is not running',
    remedy: 'Start it: `claudemesh daemon start`',
  },
  daemon_silent: {
    severity: 'error',
    text: 'A daemon runs and does not answer: it is starting, stopping or stuck',
    remedy: 'See `claudemesh daemon logs`; `claudemesh daemon restart` loses nothing that was acknowledged',
  },
  daemon_older: {
    severity: 'warning',
    text: 'The daemon still runs an older version than this command line',
    remedy: 'Let it run the new one: `claudemesh daemon restart`',
  },
  daemon_newer: {
    severity: 'warning',
    text: 'The daemon runs a newer version than this command line, which may not know all that it says',
    remedy: 'Look which one comes first in PATH (`which -a claudemesh`), or `npm install --global claudemesh`',
  },
  service_interpreter_gone: {
    severity: 'error',
    text: 'The service starts a program that is not there any more',
    remedy: 'Write it anew: `claudemesh daemon install-service`',
  },
  service_down: {
    severity: 'error',
    text: 'The service is installed and does not run',
    remedy: 'See `claudemesh daemon logs`, then `claudemesh daemon restart`',
  },
  service_differs: {
    severity: 'warning',
    text: 'The service is not as this version and this configuration would write it',
    remedy: 'Write it anew: `claudemesh daemon install-service`',
  },
  broker_older: {
    severity: 'warning',
    text: 'The broker is of an older release than the daemon: what it does not know is not used',
    remedy: 'Update claudemesh where the broker runs, and start it again',
  },
  broker_newer: {
    severity: 'info',
    text: 'The broker is of a newer release than the daemon: both use what both know',
    remedy: 'Nothing to do; `npm install --global claudemesh` and `claudemesh daemon restart` bring what is new',
  },
  broker_unreachable: {
    severity: 'error',
    text: 'The broker cannot be reached from this host',
    remedy: 'Check the network and the broker: `claudemesh broker status` where it runs',
  },
  broker_not_ready: {
    severity: 'warning',
    text: 'The broker answers and is not ready: it is starting, stopping, or has no database',
    remedy: 'See its log; where it runs, `claudemesh broker doctor`',
  },
  clock_differs: {
    severity: 'warning',
    text: 'The clocks of this host and of the broker differ',
    remedy: 'Let both follow a time server: `timedatectl set-ntp true`, `sudo sntp -sS time.apple.com`',
  },
  clock_far_off: {
    severity: 'error',
    text: 'The clocks of this host and of the broker differ by more than certificates allow',
    remedy: 'Set the clock that is wrong: `timedatectl set-ntp true`, `sudo sntp -sS time.apple.com`',
  },
  tls_certificate_expires: {
    severity: 'warning',
    text: 'The TLS certificate of the broker ends soon; then no daemon connects any more',
    remedy: 'Renew it where the broker runs, and send the broker SIGHUP',
  },
  disk_low: {
    severity: 'warning',
    text: 'The file system of the home is nearly full',
    remedy: 'Free space; see `du -sh ~/.claudemesh/*`',
  },
} as const satisfies Record<string, Omit<Condition, 'code'>>

export type FindingCode = keyof typeof definitions

/** A finding with what is special about this time: the place, the figures, the command with its paths. */
export function finding(code: FindingCode, detail?: string, remedy?: string): Condition {
  const registered = definitions[code]
  return {
    code,
    severity: registered.severity,
    text: detail === undefined ? registered.text : `${registered.text}: ${detail}`,
    remedy: remedy ?? registered.remedy,
  }
}
