-- Sealed blobs that the broker relays. What each table means is in blobs.ts.
ALTER TABLE mesh.mesh ADD COLUMN blob_quota_bytes BIGINT CHECK (blob_quota_bytes > 0); -- null: what the broker is configured with

CREATE TABLE mesh.blob (
  mesh_id    TEXT   COLLATE "C" NOT NULL REFERENCES mesh.mesh (id),
  address    TEXT   COLLATE "C" NOT NULL,
  sender     TEXT   COLLATE "C" NOT NULL,
  size_bytes BIGINT NOT NULL CHECK (size_bytes > 0),
  state      TEXT   NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'stored', 'expired')),
  created_at BIGINT NOT NULL,
  touched_at BIGINT NOT NULL,                            -- when its sender last asked to upload it
  expires_at BIGINT NOT NULL,
  -- Where its bytes wait until all of them are there, and how many are durable.
  spool_id     TEXT   COLLATE "C" CHECK (spool_id IS NULL OR state = 'open'),
  spool_offset BIGINT NOT NULL DEFAULT 0 CHECK (spool_offset BETWEEN 0 AND size_bytes),
  PRIMARY KEY (mesh_id, address, sender)
);
CREATE INDEX blob_ending ON mesh.blob (expires_at) WHERE state <> 'expired';
CREATE INDEX blob_expired ON mesh.blob (expires_at) WHERE state = 'expired';
CREATE INDEX blob_idle ON mesh.blob (touched_at) WHERE state = 'open';
CREATE INDEX blob_open ON mesh.blob (mesh_id, sender) WHERE state = 'open';
CREATE INDEX blob_by_spool ON mesh.blob (spool_id) WHERE spool_id IS NOT NULL;
CREATE INDEX blob_by_address ON mesh.blob (address) WHERE state = 'stored';

CREATE TABLE mesh.blob_recipient (
  mesh_id         TEXT   COLLATE "C" NOT NULL,
  address         TEXT   COLLATE "C" NOT NULL,
  sender          TEXT   COLLATE "C" NOT NULL,
  recipient       TEXT   COLLATE "C" NOT NULL,
  acknowledged_at BIGINT,                                -- it has all of it
  PRIMARY KEY (mesh_id, address, sender, recipient),
  FOREIGN KEY (mesh_id, address, sender) REFERENCES mesh.blob (mesh_id, address, sender) ON DELETE CASCADE
);

-- One row per object that is there, comes or goes. refs: blobs that are stored.
CREATE TABLE mesh.blob_object (
  address     TEXT    COLLATE "C" PRIMARY KEY,
  refs        INTEGER NOT NULL DEFAULT 0 CHECK (refs >= 0),
  lease_until BIGINT  NOT NULL,                          -- somebody publishes it until then
  doomed      BOOLEAN NOT NULL DEFAULT false CHECK (NOT doomed OR refs = 0)
);
CREATE INDEX blob_object_unused ON mesh.blob_object (lease_until) WHERE refs = 0;

-- Of the blobs that are open or stored. Whoever makes or ends a blob of a mesh locks its row first.
CREATE TABLE mesh.blob_usage (
  mesh_id TEXT    COLLATE "C" PRIMARY KEY REFERENCES mesh.mesh (id),
  blobs   INTEGER NOT NULL DEFAULT 0 CHECK (blobs >= 0),
  bytes   BIGINT  NOT NULL DEFAULT 0 CHECK (bytes >= 0)
);

CREATE TABLE mesh.relay (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  ticket_key BYTEA   NOT NULL CHECK (length(ticket_key) = 32),
  place      TEXT    NOT NULL
);
