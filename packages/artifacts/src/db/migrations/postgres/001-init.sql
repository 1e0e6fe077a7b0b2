-- The store of artifacts: its log, the views of the log, and what it needs to work (06 §6).

-- The log: what happened, in order, for ever. Rows are written once (see the triggers).
CREATE TABLE artifacts.events (
  sequence BIGINT NOT NULL PRIMARY KEY,
  created_at BIGINT NOT NULL,
  event_type TEXT COLLATE "C" NOT NULL,
  subject_kind TEXT COLLATE "C" NOT NULL,
  subject_id TEXT COLLATE "C" NOT NULL,
  actor TEXT COLLATE "C" NOT NULL,
  payload BYTEA NOT NULL,
  payload_digest BYTEA NOT NULL CHECK (octet_length(payload_digest) = 32),
  chain_digest BYTEA NOT NULL CHECK (octet_length(chain_digest) = 32),
  signature BYTEA,
  signer TEXT COLLATE "C"
);
CREATE INDEX events_by_subject_kind_and_subject_id_and_sequence ON artifacts.events (subject_kind, subject_id, sequence);
CREATE INDEX events_by_event_type_and_sequence ON artifacts.events (event_type, sequence);

-- The end of the log, one row. Its lock is what makes numbers gapless and in the order of commits.
CREATE TABLE artifacts.event_log_head (
  id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  last_sequence BIGINT NOT NULL,
  last_created_at BIGINT NOT NULL,
  last_chain_digest BYTEA NOT NULL CHECK (octet_length(last_chain_digest) = 32)
);

-- Views, functions of the log: artifact_packages to shares. Only the view writer writes them.
-- A rebuild replaces the tables and names their indexes anew: no later migration may refer to one by its name.
CREATE TABLE artifacts.artifact_packages (
  package_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  name TEXT COLLATE "C" NOT NULL,
  producer TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C",
  status TEXT COLLATE "C" NOT NULL CHECK (status IN ('created', 'finalized', 'aborted', 'garbage_collected')),
  retention_class TEXT COLLATE "C" NOT NULL,
  artifact_type TEXT COLLATE "C" NOT NULL,
  path_policy TEXT COLLATE "C" NOT NULL CHECK (path_policy IN ('portable', 'posix')),
  metadata TEXT COLLATE "C" NOT NULL,
  metadata_schema TEXT COLLATE "C",
  annotations TEXT COLLATE "C" NOT NULL,
  provenance TEXT COLLATE "C" NOT NULL,
  manifest_digest TEXT COLLATE "C",
  content_root TEXT COLLATE "C",
  file_count BIGINT NOT NULL,
  total_size_bytes BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  finalized_at BIGINT,
  last_event_sequence BIGINT NOT NULL
);
CREATE INDEX artifact_packages_by_producer_and_package_id ON artifacts.artifact_packages (producer, package_id);
CREATE INDEX artifact_packages_by_subject_and_package_id ON artifacts.artifact_packages (subject, package_id);
CREATE INDEX artifact_packages_by_status_and_package_id ON artifacts.artifact_packages (status, package_id);

CREATE TABLE artifacts.artifact_files (
  file_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  package_id TEXT COLLATE "C" NOT NULL REFERENCES artifacts.artifact_packages,
  relative_path TEXT COLLATE "C" NOT NULL,
  path_key TEXT COLLATE "C" NOT NULL,
  media_type TEXT COLLATE "C" NOT NULL,
  size_bytes BIGINT NOT NULL,
  digest_algorithm TEXT COLLATE "C" NOT NULL,
  digest_primary TEXT COLLATE "C" NOT NULL,
  digest_sha256 TEXT COLLATE "C" NOT NULL,
  content_address TEXT COLLATE "C" NOT NULL,
  annotations TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('live', 'replaced', 'removed')),
  replaced_by TEXT COLLATE "C",
  created_at BIGINT NOT NULL,
  last_event_sequence BIGINT NOT NULL
);
CREATE UNIQUE INDEX artifact_files_by_package_id_and_path_key ON artifacts.artifact_files (package_id, path_key) WHERE state = 'live';
CREATE INDEX artifact_files_by_content_address ON artifacts.artifact_files (content_address);
CREATE INDEX artifact_files_by_digest_sha256 ON artifacts.artifact_files (digest_sha256);
CREATE INDEX artifact_files_by_package_id_and_relative_path ON artifacts.artifact_files (package_id, relative_path);

CREATE TABLE artifacts.storage_locations (
  storage_location_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  file_id TEXT COLLATE "C" NOT NULL REFERENCES artifacts.artifact_files,
  package_id TEXT COLLATE "C" NOT NULL,
  backend_id TEXT COLLATE "C" NOT NULL,
  object_key TEXT COLLATE "C" NOT NULL,
  content_address TEXT COLLATE "C" NOT NULL,
  size_bytes BIGINT NOT NULL,
  status TEXT COLLATE "C" NOT NULL CHECK (status IN ('stored', 'missing', 'corrupt', 'deleted')),
  retrieval_tier TEXT COLLATE "C" NOT NULL CHECK (retrieval_tier IN ('hot', 'warm', 'cold', 'archive')),
  restore_status TEXT COLLATE "C" CHECK (restore_status IN ('requested', 'in_progress', 'available', 'failed')),
  stored_at BIGINT NOT NULL,
  last_verified_at BIGINT,
  deleted_at BIGINT,
  last_event_sequence BIGINT NOT NULL
);
CREATE INDEX storage_locations_by_backend_id_and_content_address_and_status ON artifacts.storage_locations (backend_id, content_address, status);
CREATE INDEX storage_locations_by_package_id ON artifacts.storage_locations (package_id);
CREATE INDEX storage_locations_by_file_id ON artifacts.storage_locations (file_id);

CREATE TABLE artifacts.retention_state (
  package_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  retention_class TEXT COLLATE "C" NOT NULL,
  default_expires_at BIGINT,
  current_expires_at BIGINT,
  active_hold_id TEXT COLLATE "C",
  hold_reason TEXT COLLATE "C",
  eligible_for_deletion BOOLEAN NOT NULL,
  eligible_at BIGINT,
  last_event_sequence BIGINT NOT NULL
);
CREATE INDEX retention_state_by_current_expires_at ON artifacts.retention_state (current_expires_at);
CREATE INDEX retention_state_by_eligible_for_deletion ON artifacts.retention_state (eligible_for_deletion);
CREATE INDEX retention_state_by_active_hold_id ON artifacts.retention_state (active_hold_id);

CREATE TABLE artifacts.package_signatures (
  package_id TEXT COLLATE "C" NOT NULL,
  key_id TEXT COLLATE "C" NOT NULL,
  payload_type TEXT COLLATE "C" NOT NULL,
  manifest_digest TEXT COLLATE "C" NOT NULL,
  signature TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  last_event_sequence BIGINT NOT NULL,
  PRIMARY KEY (package_id, key_id)
);

CREATE TABLE artifacts.shares (
  share_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  direction TEXT COLLATE "C" NOT NULL CHECK (direction IN ('sent', 'received')),
  status TEXT COLLATE "C" NOT NULL,
  package_id TEXT COLLATE "C",
  file_id TEXT COLLATE "C",
  peer TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  media_type TEXT COLLATE "C" NOT NULL,
  size_bytes BIGINT NOT NULL,
  content_address TEXT COLLATE "C" NOT NULL,
  client_message_id TEXT COLLATE "C",
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  last_event_sequence BIGINT NOT NULL
);

-- How long a class is kept, for packages that are created from now on.
CREATE TABLE artifacts.retention_classes (
  retention_class TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  default_duration_seconds BIGINT,
  description TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL
);

-- What metadata may be; configuration.
CREATE TABLE artifacts.metadata_schemas (
  schema_id TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  json_schema TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (schema_id, version)
);

-- Uploads under way.
CREATE TABLE artifacts.uploads (
  upload_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  package_id TEXT COLLATE "C" NOT NULL,
  relative_path TEXT COLLATE "C" NOT NULL,
  path_key TEXT COLLATE "C" NOT NULL,
  media_type TEXT COLLATE "C" NOT NULL,
  size_bytes BIGINT,
  expected TEXT COLLATE "C",
  next_offset BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  touched_at BIGINT NOT NULL
);

-- First answers, for whoever asks again.
CREATE TABLE artifacts.idempotency_keys (
  idempotency_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  fingerprint BYTEA NOT NULL CHECK (octet_length(fingerprint) = 32),
  status BIGINT NOT NULL,
  response TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_by_created_at ON artifacts.idempotency_keys (created_at);

-- What garbage collection and ingest tell each other about an object.
CREATE TABLE artifacts.blob_state (
  backend_id TEXT COLLATE "C" NOT NULL,
  content_address TEXT COLLATE "C" NOT NULL,
  first_seen_at BIGINT NOT NULL,
  last_put_at BIGINT NOT NULL,
  last_scrubbed_at BIGINT,
  doomed_at BIGINT,
  PRIMARY KEY (backend_id, content_address)
);
CREATE INDEX blob_state_by_doomed_at ON artifacts.blob_state (doomed_at) WHERE doomed_at IS NOT NULL;

-- Who this store is.
CREATE TABLE artifacts.registry_meta (
  id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  registry_id TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL
);

-- How far scrubbing has come.
CREATE TABLE artifacts.scrub_cursor (
  id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  backend_id TEXT COLLATE "C" NOT NULL,
  content_address TEXT COLLATE "C" NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE FUNCTION artifacts.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the log of events is never changed';
END $$;
CREATE TRIGGER events_are_not_changed BEFORE UPDATE OR DELETE ON artifacts.events
  FOR EACH ROW EXECUTE FUNCTION artifacts.refuse_change();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON artifacts.events
  FOR EACH STATEMENT EXECUTE FUNCTION artifacts.refuse_change();

-- The member of a metadata map as text, for filters; SQLite has a function of the same name from the program.
CREATE FUNCTION artifacts.metadata_text(metadata TEXT, member TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN jsonb_typeof(metadata::jsonb -> member) IN ('object', 'array') THEN NULL ELSE metadata::jsonb ->> member END
$$;

INSERT INTO artifacts.event_log_head (id, last_sequence, last_created_at, last_chain_digest)
VALUES (1, 0, 0, decode(repeat('00', 32), 'hex'));

INSERT INTO artifacts.retention_classes (retention_class, default_duration_seconds, description, position) VALUES
  ('transient', 604800, 'working files, gone after a week', 1),
  ('raw-evidence', 7776000, 'what was observed, for a quarter', 2),
  ('summary-evidence', 31536000, 'what was concluded, for a year', 3),
  ('release-evidence', 220752000, 'what a release rests on, for seven years', 4),
  ('permanent-record', NULL, 'never expires', 5);
