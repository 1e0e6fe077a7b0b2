-- Sealed blobs that the broker relays. What each table means is in blobs.ts.
ALTER TABLE mesh ADD COLUMN blob_quota_bytes INTEGER CHECK (blob_quota_bytes > 0); -- null: what the broker is configured with

CREATE TABLE blob (
  mesh_id    TEXT    NOT NULL REFERENCES mesh (id),
  address    TEXT    NOT NULL,
  sender     TEXT    NOT NULL,
  size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
  state      TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'stored', 'expired')),
  created_at INTEGER NOT NULL,
  touched_at INTEGER NOT NULL,                           -- when its sender last asked to upload it
  expires_at INTEGER NOT NULL,
  -- Where its bytes wait until all of them are there, and how many are durable.
  spool_id     TEXT    CHECK (spool_id IS NULL OR state = 'open'),
  spool_offset INTEGER NOT NULL DEFAULT 0 CHECK (spool_offset BETWEEN 0 AND size_bytes),
  PRIMARY KEY (mesh_id, address, sender)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_ending ON blob (expires_at) WHERE state <> 'expired';
CREATE INDEX blob_expired ON blob (expires_at) WHERE state = 'expired';
CREATE INDEX blob_idle ON blob (touched_at) WHERE state = 'open';
CREATE INDEX blob_open ON blob (mesh_id, sender) WHERE state = 'open';
CREATE INDEX blob_by_spool ON blob (spool_id) WHERE spool_id IS NOT NULL;
CREATE INDEX blob_by_address ON blob (address) WHERE state = 'stored';

CREATE TABLE blob_recipient (
  mesh_id         TEXT NOT NULL,
  address         TEXT NOT NULL,
  sender          TEXT NOT NULL,
  recipient       TEXT NOT NULL,
  acknowledged_at INTEGER,                               -- it has all of it
  PRIMARY KEY (mesh_id, address, sender, recipient),
  FOREIGN KEY (mesh_id, address, sender) REFERENCES blob (mesh_id, address, sender) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- One row per object that is there, comes or goes. refs: blobs that are stored.
CREATE TABLE blob_object (
  address     TEXT    PRIMARY KEY,
  refs        INTEGER NOT NULL DEFAULT 0 CHECK (refs >= 0),
  lease_until INTEGER NOT NULL,                          -- somebody publishes it until then
  doomed      INTEGER NOT NULL DEFAULT 0 CHECK (doomed = 0 OR doomed = 1 AND refs = 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_object_unused ON blob_object (lease_until) WHERE refs = 0;

-- Of the blobs that are open or stored.
CREATE TABLE blob_usage (
  mesh_id TEXT    PRIMARY KEY REFERENCES mesh (id),
  blobs   INTEGER NOT NULL DEFAULT 0 CHECK (blobs >= 0),
  bytes   INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE relay (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  ticket_key BLOB    NOT NULL CHECK (length(ticket_key) = 32),
  place      TEXT    NOT NULL
) STRICT;
