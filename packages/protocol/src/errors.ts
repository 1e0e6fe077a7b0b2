import { artifactErrors } from './artifact-errors.ts'
import { blobErrors } from './blob-errors.ts'
import { decisionErrors } from './decision-errors.ts'
import { historyErrors } from './history-errors.ts'
import { hookErrors } from './hook-errors.ts'
import { sinkErrors } from './sink-errors.ts'

/**
 * The catalogue of every error this software answers with. A code is API: it never changes its meaning and is
 * never reused. `status` is the HTTP status of the problem document, `retryable` says whether the same request can
 * succeed later without being changed, and `hint` is the sentence that tells a person what to do next.
 */
export interface ErrorDefinition {
  readonly status: number
  readonly retryable: boolean
  readonly title: string
  readonly hint: string
}

const definitions = {
  // Requests that are wrong in themselves.
  invalid_request: {
    status: 400,
    retryable: false,
    title: 'The request does not have the form this route takes',
    hint: 'Correct the field named in `field`; GET /v1/openapi.json describes every route.',
  },
  invalid_json: {
    status: 400,
    retryable: false,
    title: 'The request body is not valid JSON',
    hint: 'Send one JSON document in UTF-8 with content-type: application/json.',
  },
  invalid_client_message_id: {
    status: 400,
    retryable: false,
    title: 'The idempotency key is not well-formed',
    hint: 'Use 1 to 255 visible ASCII characters (0x21 to 0x7E), or leave it out and one is made.',
  },
  invalid_destination: {
    status: 400,
    retryable: false,
    title: 'The destination is not well-formed',
    hint: 'Use @name, name, a 64 digit member id, #topic or queue:<name>.',
  },
  invalid_meta: {
    status: 400,
    retryable: false,
    title: 'The meta object cannot be sent',
    hint: 'Meta takes JSON values without U+0000; keys that begin with $ are reserved.',
  },
  invalid_text: {
    status: 400,
    retryable: false,
    title: 'A text contains characters that cannot be carried',
    hint: 'Use well-formed Unicode without U+0000.',
  },
  invalid_cursor: {
    status: 400,
    retryable: false,
    title: 'The page cursor is not one that this store gave out',
    hint: 'Begin again without `after`.',
  },
  token_in_query: {
    status: 400,
    retryable: false,
    title: 'A token in the query string is refused',
    hint: 'Send it as Authorization: Bearer <local_token>; query strings end up in logs.',
  },
  unauthorized: {
    status: 401,
    retryable: false,
    title: 'The request carries no valid token',
    hint: 'Send Authorization: Bearer with the content of the local_token file, or use the Unix socket.',
  },
  forbidden_host: {
    status: 403,
    retryable: false,
    title: 'The Host header is not a loopback name',
    hint: 'Use localhost, 127.0.0.1 or [::1].',
  },
  forbidden_origin: {
    status: 403,
    retryable: false,
    title: 'Requests from this web origin are not allowed',
    hint: 'Add the origin to [ipc] allowed_origins if you trust the page.',
  },
  not_found: {
    status: 404,
    retryable: false,
    title: 'There is nothing at this address',
    hint: 'GET /v1/openapi.json lists every route.',
  },
  recipient_unknown: {
    status: 404,
    retryable: false,
    title: 'No member of this mesh has that name',
    hint: 'See who is there with `claudemesh peers`; `near` lists similar names.',
  },
  recipient_ambiguous: {
    status: 409,
    retryable: false,
    title: 'Several members of this mesh have that name',
    hint: 'Send to one of the member ids in `candidates`.',
  },
  topic_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such topic in this mesh',
    hint: 'Create it with `claudemesh topic subscribe <name>`; `near` lists similar names.',
  },
  topic_reserved: {
    status: 403,
    retryable: false,
    title: 'The topic is that of a space, which only decisions go to',
    hint: 'Decide with `claudemesh decision append`, or use a topic that does not begin with `space.`.',
  },
  queue_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such work queue in this mesh',
    hint: 'Create it with `claudemesh queue consume <name>` where the work is to be done.',
  },
  queue_without_consumers: {
    status: 409,
    retryable: true,
    title: 'Nobody consumes that work queue at present',
    hint: 'What was sent to it waits in the outbox; run `claudemesh queue consume <name>` where the work is to be done.',
  },
  message_unknown: {
    status: 404,
    retryable: false,
    title: 'This host has no message with that id',
    hint: 'Look it up with `claudemesh inbox` or `claudemesh daemon outbox list`.',
  },
  outbox_row_unknown: {
    status: 404,
    retryable: false,
    title: 'The outbox has no such row',
    hint: 'List the rows with `claudemesh daemon outbox list`.',
  },
  destination_unsupported: {
    status: 422,
    retryable: false,
    title: 'This broker does not carry messages of that destination kind',
    hint: 'Use a newer broker; every broker carries messages to members and topics.',
  },
  payload_too_large: {
    status: 413,
    retryable: false,
    title: 'The message is larger than the broker takes inline',
    hint: 'Split the message, or share a link to the content.',
  },
  body_too_large: {
    status: 413,
    retryable: false,
    title: 'The request body is larger than 1 MiB',
    hint: 'Split the request, or send large content as a file.',
  },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    title: 'This route does not take that content type',
    hint: 'Send application/json, or application/x-ndjson to a batch route.',
  },

  method_not_allowed: {
    status: 405,
    retryable: false,
    title: 'This address does not take that method',
    hint: 'Use one of the methods in `allow`; GET /v1/openapi.json describes every route.',
  },
  malformed_http: {
    status: 400,
    retryable: false,
    title: 'The bytes on the connection are not an HTTP/1.1 request',
    hint: 'Check the request line, the headers and the length of the body.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    title: 'The headers of the request are larger than the daemon takes',
    hint: 'Send fewer or shorter headers.',
  },
  request_timeout: {
    status: 408,
    retryable: true,
    title: 'The request did not arrive completely in time',
    hint: 'Send the same request again, with the same idempotency key.',
  },

  // Requests that meet a state in which they cannot be done.
  idempotency_key_reused: {
    status: 409,
    retryable: false,
    title: 'The idempotency key already belongs to another send, or to one that ended',
    hint: 'Use a new key for a new message; `conflict` says what the key is bound to.',
  },
  sent_after_backup: {
    status: 409,
    retryable: false,
    title: 'A row out of a backup was sent after that backup was made, and is not sent a second time',
    hint: 'Nothing is missing at the recipient: `claudemesh daemon outbox drop --id <outbox_id>`.',
  },
  outbox_row_not_operable: {
    status: 409,
    retryable: false,
    title: 'The outbox row is in a state that does not allow this operation',
    hint: 'Only pending and dead rows can be requeued or dropped; see `claudemesh daemon outbox show <id>`.',
  },
  queue_not_consumed: {
    status: 409,
    retryable: false,
    title: 'This member is no consumer of that work queue',
    hint: 'Become one with `claudemesh queue consume <name>`.',
  },
  member_revoked: {
    status: 403,
    retryable: false,
    title: 'This member has been revoked',
    hint: 'Ask an admin of the mesh for a new invite.',
  },

  rotation_impossible: {
    status: 409,
    retryable: false,
    title: 'The keys of this member cannot be replaced by new ones',
    hint: 'Make a new member of this host: `claudemesh daemon remint`.',
  },
  revocation_list_stale: {
    status: 409,
    retryable: true,
    title: 'Another revocation was made at the same time',
    hint: 'Run the command again: it then begins from the newer list.',
  },
  revocation_list_full: {
    status: 409,
    retryable: false,
    title: 'The revocation list of this mesh has as many entries as one can have',
    hint: 'Make a new mesh, and invite into it whoever is to remain.',
  },

  // Conditions that pass.
  daemon_busy: {
    status: 429,
    retryable: true,
    title: 'The daemon is working on as many requests as it takes at once',
    hint: 'Send the same request again after the Retry-After time, with the same idempotency key.',
  },
  rate_limited: {
    status: 429,
    retryable: true,
    title: 'The rate limit was reached',
    hint: 'Send the same request again after the Retry-After time.',
  },
  too_many_streams: {
    status: 429,
    retryable: true,
    title: 'As many event streams are open as this daemon serves',
    hint: 'Close one, or share one stream between its readers.',
  },
  shutting_down: {
    status: 503,
    retryable: true,
    title: 'The daemon is stopping',
    hint: 'Send the same request again when it is back, with the same idempotency key.',
  },
  broker_unavailable: {
    status: 503,
    retryable: true,
    title: 'The broker cannot be reached right now',
    hint: 'Sends are kept and go out by themselves; see `claudemesh daemon status`.',
  },
  insufficient_storage: {
    status: 507,
    retryable: true,
    title: 'There is not enough disk space to keep another message',
    hint: 'Free space or raise [disk] budget_bytes; nothing was stored.',
  },
  storage_failed: {
    status: 500,
    retryable: true,
    title: 'The disk refused the write',
    hint: 'Nothing was stored. See `claudemesh daemon logs` and check the disk.',
  },
  storage_unavailable: {
    status: 503,
    retryable: true,
    title: 'The database does not answer, or takes no writes',
    hint: 'Check the PostgreSQL server and the database URL; whoever waits tries again by itself.',
  },
  internal_error: {
    status: 500,
    retryable: true,
    title: 'Something went wrong inside the daemon',
    hint: 'See `claudemesh daemon logs`; report it with the line that names this request.',
  },

  // Conditions that keep a process from starting or running. They reach people through the log and the CLI.
  daemon_unreachable: {
    status: 503,
    retryable: true,
    title: 'No daemon answers on the socket',
    hint: 'Start it with `claudemesh daemon start`.',
  },
  invalid_usage: {
    status: 400,
    retryable: false,
    title: 'The command line does not have the form this command takes',
    hint: 'See `claudemesh --help`.',
  },
  start_failed: {
    status: 500,
    retryable: false,
    title: 'The process did not come up',
    hint: 'See its log.',
  },
  mesh_not_configured: {
    status: 404,
    retryable: false,
    title: 'This home has no such mesh',
    hint: 'Make one with `claudemesh init`, or join one with `claudemesh join <token>`.',
  },
  mesh_exists: {
    status: 409,
    retryable: false,
    title: 'This home already has a mesh of that name',
    hint: 'Choose another slug with --mesh.',
  },
  outbox_not_empty: {
    status: 409,
    retryable: false,
    title: 'Messages of the present member wait to be sent',
    hint: 'Start the daemon and let them go out, or drop them with --discard-outbox.',
  },
  root_key_at_stake: {
    status: 409,
    retryable: false,
    title: 'The root key of a mesh would be deleted with this home',
    hint: 'Keep it elsewhere: `claudemesh mesh root export --out <file>`; then add --discard-root-key.',
  },
  fleet_full: {
    status: 409,
    retryable: true,
    title: 'As many daemons of this home run as may',
    hint: 'Stop one (`claudemesh daemon status --all` lists them), or raise [fleet] max_daemons.',
  },
  reset_unfinished: {
    status: 409,
    retryable: false,
    title: 'A reset was stopped before its end',
    hint: 'Let it come to its end: `claudemesh daemon reset --confirm`.',
  },
  host_changed: {
    status: 409,
    retryable: false,
    title: 'This home was accepted on another host',
    hint: 'If it has moved here: `claudemesh daemon accept-host`. If it is a copy, give it an identity of its own: `claudemesh daemon remint`.',
  },
  already_running: {
    status: 409,
    retryable: false,
    title: 'Another process holds the lock of this directory',
    hint: 'Only one daemon runs per mesh and home; see `claudemesh daemon status`.',
  },
  unsafe_permissions: {
    status: 500,
    retryable: false,
    title: 'A private file or directory is readable by others or belongs to somebody else',
    hint: 'Mend it with chmod or chown as the detail says.',
  },
  database_corrupt: {
    status: 500,
    retryable: false,
    title: 'A database file is damaged',
    hint: 'See what `claudemesh daemon recover` can save of it, or restore a backup into a new home with `claudemesh daemon restore`; a broker has its own backup.',
  },
  schema_too_new: {
    status: 500,
    retryable: false,
    title: 'A database was written by a newer version of this software',
    hint: 'Install that version or a newer one.',
  },
  sqlite_unsafe: {
    status: 500,
    retryable: false,
    title: 'The SQLite library in use can lose acknowledged data',
    hint: 'Install the dependencies again: SQLite 3.51.3 or newer is needed.',
  },
  config_invalid: {
    status: 400,
    retryable: false,
    title: 'The configuration cannot be used',
    hint: 'Correct the key at the named line.',
  },
  outbox_max_age_above_dedupe_window: {
    status: 400,
    retryable: false,
    title: 'The setting outbox.max_age_hours_override is longer than the broker remembers message ids',
    hint: 'Lower it to at most dedupe_retention_days * 24 - 24.',
  },
  invalid_token: {
    status: 400,
    retryable: false,
    title: 'The invite token is not valid',
    hint: 'Copy the whole token, from cm1 to its last character.',
  },
  invite_expired: {
    status: 403,
    retryable: false,
    title: 'The invite has expired',
    hint: 'Ask for a new one: `claudemesh invite create`.',
  },
  invite_used_up: {
    status: 403,
    retryable: false,
    title: 'The invite has been used as often as it allows',
    hint: 'Ask for a new one: `claudemesh invite create`.',
  },
  passphrase_wrong: {
    status: 403,
    retryable: false,
    title: 'The passphrase does not open the file',
    hint: 'Type it again. A damaged file looks the same: try another copy.',
  },
  passphrase_file_invalid: {
    status: 400,
    retryable: false,
    title: 'The file was not sealed with a passphrase',
    hint: 'Name the file that the export wrote, whole and unchanged.',
  },
  not_admin: {
    status: 403,
    retryable: false,
    title: 'This member may not do that',
    hint: 'Ask an admin of the mesh.',
  },
  unauthenticated: {
    status: 401,
    retryable: false,
    title: 'The broker did not accept this identity',
    hint: 'The detail says which check failed; see `claudemesh daemon status`.',
  },
  feature_unavailable: {
    status: 501,
    retryable: false,
    title: 'The broker lacks a feature that this daemon requires',
    hint: 'Upgrade the broker, or change [features] require.',
  },
  feature_param_invalid: {
    status: 501,
    retryable: false,
    title: 'The broker offers a required feature with parameters that cannot be used',
    hint: 'Upgrade the older of the two, or correct the mesh settings at the broker.',
  },
  feature_param_below_floor: {
    status: 501,
    retryable: false,
    title: 'The broker forgets message ids too soon to keep sends exactly once',
    hint: 'Set dedupe_retention_days of the mesh to 7 or more.',
  },

  // What a broker answers for one item of a batch; they end up as last_error of an outbox row.
  invalid_frame: {
    status: 400,
    retryable: false,
    title: 'A frame does not have the form the protocol takes',
    hint: 'One of the two sides is broken or too old; compare the versions in `claudemesh daemon status`.',
  },
  fingerprint_mismatch: {
    status: 400,
    retryable: false,
    title: 'The bytes that arrived are not the bytes that were sent',
    hint: 'Requeue the row: `claudemesh daemon outbox requeue --id <id>`.',
  },
  recipients_stale: {
    status: 409,
    retryable: true,
    title: 'The set of recipients changed since the message was sealed',
    hint: 'Nothing to do: it is sealed again and sent.',
  },
  too_many_recipients: {
    status: 422,
    retryable: false,
    title: 'A message can have at most 512 recipients',
    hint: 'Split the topic.',
  },
  recipient_key_unusable: {
    status: 422,
    retryable: false,
    title: 'No recipient has a key that can be sealed to',
    hint: 'Ask the recipient to make new keys: `claudemesh daemon rotate-keypair`.',
  },
  max_age_exceeded: {
    status: 410,
    retryable: false,
    title: 'The message grew older than the broker remembers ids, so it can no longer be sent safely once',
    hint: 'Requeue it under a new id: `claudemesh daemon outbox requeue --id <id>`.',
  },
  timeout: {
    status: 504,
    retryable: true,
    title: 'No answer came in time',
    hint: 'It is tried again by itself.',
  },
  ...artifactErrors,
  ...decisionErrors,
  ...historyErrors,
  ...blobErrors,
  ...sinkErrors,
  ...hookErrors,
} as const satisfies Record<string, ErrorDefinition>

/** A stable error code, the `code` member of every problem document. */
export type ErrorCode = keyof typeof definitions

/** Code to definition, complete. */
export const errorCatalogue: Readonly<Record<ErrorCode, ErrorDefinition>> = definitions

/** Whether a string that came over a wire is a code of this version's catalogue. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(definitions, code)
}
