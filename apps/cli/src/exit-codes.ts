/** Error code to exit code, after sysexits(3). Complete: a code added to the catalogue does not compile until it is here. */
import type { ErrorCode } from './protocol.ts'

export const exitCodes = {
  ok: 0,
  failed: 1,
  /** The command line is wrong. */
  usage: 64,
  /** What was to be sent, or what it was addressed to, is wrong. */
  data: 65,
  /** Nobody answers. */
  unavailable: 69,
  /** A fault of this software. */
  software: 70,
  cannotCreate: 73,
  io: 74,
  /** The same command can succeed later. */
  tryLater: 75,
  permission: 77,
  config: 78,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

const { usage, data, unavailable, software, cannotCreate, io, tryLater, permission, config } = exitCodes

export const exitCodeByError: Readonly<Record<ErrorCode, ExitCode>> = {
  invalid_usage: usage,

  invalid_request: data,
  invalid_json: data,
  invalid_client_message_id: data,
  invalid_destination: data,
  invalid_meta: data,
  invalid_text: data,
  invalid_cursor: data,
  invalid_token: data,
  recipient_unknown: data,
  recipient_ambiguous: data,
  topic_unknown: data,
  queue_unknown: data,
  queue_not_consumed: data,
  message_unknown: data,
  outbox_row_unknown: data,
  outbox_row_not_operable: data,
  rotation_impossible: data,
  revocation_list_full: data,
  destination_unsupported: data,
  payload_too_large: data,
  body_too_large: data,
  idempotency_key_reused: data,
  sent_after_backup: data,
  fingerprint_mismatch: data,
  too_many_recipients: data,
  max_age_exceeded: data,
  recipient_key_unusable: data,
  passphrase_file_invalid: data,
  database_corrupt: data,

  daemon_unreachable: unavailable,
  broker_unavailable: unavailable,
  storage_unavailable: unavailable,
  start_failed: unavailable,
  feature_unavailable: unavailable,
  feature_param_invalid: unavailable,
  feature_param_below_floor: unavailable,

  // What the client sends is made by this software: when the daemon cannot read it, that is not the user's doing.
  internal_error: software,
  not_found: software,
  token_in_query: software,
  unsupported_media_type: software,
  method_not_allowed: software,
  malformed_http: software,
  headers_too_large: software,
  invalid_frame: software,

  mesh_exists: cannotCreate,
  outbox_not_empty: cannotCreate,

  insufficient_storage: io,
  storage_failed: io,

  already_running: tryLater,
  daemon_busy: tryLater,
  rate_limited: tryLater,
  too_many_streams: tryLater,
  shutting_down: tryLater,
  recipients_stale: tryLater,
  queue_without_consumers: tryLater,
  revocation_list_stale: tryLater,
  request_timeout: tryLater,
  timeout: tryLater,

  unauthorized: permission,
  forbidden_host: permission,
  forbidden_origin: permission,
  unsafe_permissions: permission,
  member_revoked: permission,
  not_admin: permission,
  passphrase_wrong: permission,
  unauthenticated: permission,
  invite_expired: permission,
  invite_used_up: permission,

  mesh_not_configured: config,
  config_invalid: config,
  host_changed: config,
  outbox_max_age_above_dedupe_window: config,
  schema_too_new: config,
  sqlite_unsafe: config,
}
