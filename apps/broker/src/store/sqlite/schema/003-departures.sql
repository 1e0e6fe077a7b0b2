-- Members that go: revoked by a list, or by themselves. The table of members is written anew, since a CHECK cannot be
-- changed; presence refers to it, and finds the same rows again before the commit.
PRAGMA defer_foreign_keys = ON;
CREATE TEMP TABLE member_before AS SELECT * FROM member;
DROP TABLE member;

CREATE TABLE member (
  mesh_id          TEXT    NOT NULL REFERENCES mesh (id),
  member_id        TEXT    NOT NULL,
  name             TEXT    NOT NULL,
  role             TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
  epoch            INTEGER NOT NULL,
  signing_key      TEXT    NOT NULL,
  box_key          TEXT    NOT NULL,
  chain            TEXT    NOT NULL,                     -- JSON, the current certificate first
  status           TEXT    NOT NULL CHECK (status IN ('active', 'left', 'revoked')),
  host_fingerprint TEXT,
  joined_at        INTEGER NOT NULL,                     -- when it was first let in, also if it left since
  -- Null in both of these: the member stays until it leaves or is revoked.
  ephemeral_ttl_ms INTEGER CHECK (ephemeral_ttl_ms > 0),
  lease_until      INTEGER CHECK ((lease_until IS NULL) = (ephemeral_ttl_ms IS NULL)),
  -- 1: it is gone, and something may still wait for it.
  draining         INTEGER NOT NULL DEFAULT 0 CHECK (draining = 0 OR draining = 1 AND status <> 'active'),
  PRIMARY KEY (mesh_id, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_by_lease ON member (lease_until) WHERE status = 'active' AND lease_until IS NOT NULL;
CREATE INDEX member_draining ON member (mesh_id, member_id) WHERE draining = 1;
CREATE INDEX member_by_joining ON member (mesh_id, joined_at);

INSERT INTO member (mesh_id, member_id, name, role, epoch, signing_key, box_key, chain, status, host_fingerprint,
       joined_at)
SELECT mesh_id, member_id, name, role, epoch, signing_key, box_key, chain, status, host_fingerprint, joined_at
  FROM member_before;
DROP TABLE member_before;

-- When an issuer of others was first heard of, though it may never have come itself.
CREATE INDEX invite_use_by_member ON invite_use (mesh_id, member_id);

-- The list in force; it contains all that came before it.
CREATE TABLE revocation_list (
  mesh_id     TEXT    PRIMARY KEY REFERENCES mesh (id),
  number      INTEGER NOT NULL CHECK (number > 0),
  list        TEXT    NOT NULL,                          -- JSON, signed
  chain       TEXT    NOT NULL,                          -- JSON: of who signed it; empty when the root key did
  received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
