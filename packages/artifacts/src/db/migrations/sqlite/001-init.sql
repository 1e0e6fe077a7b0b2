-- The store of artifacts: its log, the views of the log, and what it needs to work (06 §6).

-- The log: what happened, in order, for ever. Rows are written once (see the triggers).
CREATE TABLE events (
  sequence INTEGER NOT NULL PRIMARY KEY,
  created_at INTEGER NOT NULL,
  event_type TEXT NOT NULL,
  subject_kind TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  actor TEXT NOT NULL,
  payload BLOB NOT NULL,
  payload_digest BLOB NOT NULL CHECK (length(payload_digest) = 32),
  chain_digest BLOB NOT NULL CHECK (length(chain_digest) = 32),
  signature BLOB,
  signer TEXT
) STRICT;
CREATE INDEX events_by_subject_kind_and_subject_id_and_sequence ON events (subject_kind, subject_id, sequence);
CREATE INDEX events_by_event_type_and_sequence ON events (event_type, sequence);

-- The end of the log, one row. Its lock is what makes numbers gapless and in the order of commits.
CREATE TABLE event_log_head (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  last_sequence INTEGER NOT NULL,
  last_created_at INTEGER NOT NULL,
  last_chain_digest BLOB NOT NULL CHECK (length(last_chain_digest) = 32)
) STRICT;

-- Views, functions of the log: artifact_packages to shares. Only the view writer writes them.
CREATE TABLE artifact_packages (
  package_id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  producer TEXT NOT NULL,
  subject TEXT,
  status TEXT NOT NULL CHECK (status IN ('created', 'finalized', 'aborted', 'garbage_collected')),
  retention_class TEXT NOT NULL,
  artifact_type TEXT NOT NULL,
  path_policy TEXT NOT NULL CHECK (path_policy IN ('portable', 'posix')),
  metadata TEXT NOT NULL,
  metadata_schema TEXT,
  annotations TEXT NOT NULL,
  provenance TEXT NOT NULL,
  manifest_digest TEXT,
  content_root TEXT,
  file_count INTEGER NOT NULL,
  total_size_bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  finalized_at INTEGER,
  last_event_sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX artifact_packages_by_producer_and_package_id ON artifact_packages (producer, package_id);
CREATE INDEX artifact_packages_by_subject_and_package_id ON artifact_packages (subject, package_id);
CREATE INDEX artifact_packages_by_status_and_package_id ON artifact_packages (status, package_id);

CREATE TABLE artifact_files (
  file_id TEXT NOT NULL PRIMARY KEY,
  package_id TEXT NOT NULL REFERENCES artifact_packages,
  relative_path TEXT NOT NULL,
  path_key TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  digest_algorithm TEXT NOT NULL,
  digest_primary TEXT NOT NULL,
  digest_sha256 TEXT NOT NULL,
  content_address TEXT NOT NULL,
  annotations TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('live', 'replaced', 'removed')),
  replaced_by TEXT,
  created_at INTEGER NOT NULL,
  last_event_sequence INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX artifact_files_by_package_id_and_path_key ON artifact_files (package_id, path_key) WHERE state = 'live';
CREATE INDEX artifact_files_by_content_address ON artifact_files (content_address);
CREATE INDEX artifact_files_by_digest_sha256 ON artifact_files (digest_sha256);
CREATE INDEX artifact_files_by_package_id_and_relative_path ON artifact_files (package_id, relative_path);

CREATE TABLE storage_locations (
  storage_location_id TEXT NOT NULL PRIMARY KEY,
  file_id TEXT NOT NULL REFERENCES artifact_files,
  package_id TEXT NOT NULL,
  backend_id TEXT NOT NULL,
  object_key TEXT NOT NULL,
  content_address TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('stored', 'missing', 'corrupt', 'deleted')),
  retrieval_tier TEXT NOT NULL CHECK (retrieval_tier IN ('hot', 'warm', 'cold', 'archive')),
  restore_status TEXT CHECK (restore_status IN ('requested', 'in_progress', 'available', 'failed')),
  stored_at INTEGER NOT NULL,
  last_verified_at INTEGER,
  deleted_at INTEGER,
  last_event_sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX storage_locations_by_backend_id_and_content_address_and_status ON storage_locations (backend_id, content_address, status);
CREATE INDEX storage_locations_by_package_id ON storage_locations (package_id);
CREATE INDEX storage_locations_by_file_id ON storage_locations (file_id);

CREATE TABLE retention_state (
  package_id TEXT NOT NULL PRIMARY KEY,
  retention_class TEXT NOT NULL,
  default_expires_at INTEGER,
  current_expires_at INTEGER,
  active_hold_id TEXT,
  hold_reason TEXT,
  eligible_for_deletion INTEGER NOT NULL CHECK (eligible_for_deletion IN (0, 1)),
  eligible_at INTEGER,
  last_event_sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX retention_state_by_current_expires_at ON retention_state (current_expires_at);
CREATE INDEX retention_state_by_eligible_for_deletion ON retention_state (eligible_for_deletion);
CREATE INDEX retention_state_by_active_hold_id ON retention_state (active_hold_id);

CREATE TABLE package_signatures (
  package_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  payload_type TEXT NOT NULL,
  manifest_digest TEXT NOT NULL,
  signature TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_event_sequence INTEGER NOT NULL,
  PRIMARY KEY (package_id, key_id)
) STRICT;

CREATE TABLE shares (
  share_id TEXT NOT NULL PRIMARY KEY,
  direction TEXT NOT NULL CHECK (direction IN ('sent', 'received')),
  status TEXT NOT NULL,
  package_id TEXT,
  file_id TEXT,
  peer TEXT NOT NULL,
  name TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  content_address TEXT NOT NULL,
  client_message_id TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_event_sequence INTEGER NOT NULL
) STRICT;

-- How long a class is kept, for packages that are created from now on.
CREATE TABLE retention_classes (
  retention_class TEXT NOT NULL PRIMARY KEY,
  default_duration_seconds INTEGER,
  description TEXT NOT NULL,
  position INTEGER NOT NULL
) STRICT;

-- What metadata may be; configuration.
CREATE TABLE metadata_schemas (
  schema_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  json_schema TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (schema_id, version)
) STRICT;

-- Uploads under way.
CREATE TABLE uploads (
  upload_id TEXT NOT NULL PRIMARY KEY,
  package_id TEXT NOT NULL,
  relative_path TEXT NOT NULL,
  path_key TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size_bytes INTEGER,
  expected TEXT,
  next_offset INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  touched_at INTEGER NOT NULL
) STRICT;

-- First answers, for whoever asks again.
CREATE TABLE idempotency_keys (
  idempotency_key TEXT NOT NULL PRIMARY KEY,
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  status INTEGER NOT NULL,
  response TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_by_created_at ON idempotency_keys (created_at);

-- What garbage collection and ingest tell each other about an object.
CREATE TABLE blob_state (
  backend_id TEXT NOT NULL,
  content_address TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_put_at INTEGER NOT NULL,
  last_scrubbed_at INTEGER,
  doomed_at INTEGER,
  PRIMARY KEY (backend_id, content_address)
) STRICT;
CREATE INDEX blob_state_by_doomed_at ON blob_state (doomed_at) WHERE doomed_at IS NOT NULL;

-- Who this store is.
CREATE TABLE registry_meta (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  registry_id TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- How far scrubbing has come.
CREATE TABLE scrub_cursor (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  backend_id TEXT NOT NULL,
  content_address TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the log of events is never changed'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the log of events is never changed'); END;

INSERT INTO event_log_head (id, last_sequence, last_created_at, last_chain_digest) VALUES (1, 0, 0, zeroblob(32));

INSERT INTO retention_classes (retention_class, default_duration_seconds, description, position) VALUES
  ('transient', 604800, 'working files, gone after a week', 1),
  ('raw-evidence', 7776000, 'what was observed, for a quarter', 2),
  ('summary-evidence', 31536000, 'what was concluded, for a year', 3),
  ('release-evidence', 220752000, 'what a release rests on, for seven years', 4),
  ('permanent-record', NULL, 'never expires', 5);
