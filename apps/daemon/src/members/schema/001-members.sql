-- Only members whose chain was verified up to the root key.
CREATE TABLE member (
  member_id    TEXT PRIMARY KEY,
  chain_digest BLOB NOT NULL,
  name         TEXT NOT NULL,
  role         TEXT NOT NULL CHECK (role IN ('admin', 'member')),
  signing_key  TEXT NOT NULL,
  box_key      TEXT NOT NULL,
  epoch        INTEGER NOT NULL,
  not_after    INTEGER,
  status       TEXT NOT NULL CHECK (status IN ('active', 'revoked')),
  last_seen_at INTEGER,
  summary      TEXT,
  activity     TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX member_name ON member (name);

-- wanted is this host's wish, null when it never had one. subscribed is what the broker last said.
CREATE TABLE topic (
  name        TEXT PRIMARY KEY,
  wanted      INTEGER CHECK (wanted IN (0, 1)),
  known       INTEGER NOT NULL CHECK (known IN (0, 1)),
  subscribed  INTEGER NOT NULL CHECK (subscribed IN (0, 1)),
  subscribers INTEGER
) STRICT, WITHOUT ROWID;

-- Single values by name: own profile, last agreement with the broker, times of the last complete lists.
CREATE TABLE fact (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
