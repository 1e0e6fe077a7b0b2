-- The outbox of one daemon: everything it was asked to send, and what became of it (02 §5).
--
-- A table with row ids, and every secondary index ends in the row id: that is the order of acceptance, also when the
-- clock stepped back between two starts and a later row got an earlier ULID. (Measured against WITHOUT ROWID: batches of
-- 64 rows with 1 KiB each insert twice as fast and the file is a third of the size.)

CREATE TABLE outbox (
  id                  TEXT    PRIMARY KEY,           -- ULID
  client_message_id   TEXT    NOT NULL,
  request_fingerprint BLOB    NOT NULL,              -- 32 bytes, frozen
  destination_kind    TEXT    NOT NULL CHECK (destination_kind IN ('topic', 'dm', 'queue')),
  destination_ref     TEXT    NOT NULL,
  priority            TEXT    NOT NULL CHECK (priority IN ('now', 'next', 'low')),
  payload             BLOB    NOT NULL,              -- the envelope as accepted, frozen; empty once the contents have gone
  sealed              BLOB,                          -- frozen before the first transmission
  wire_fingerprint    BLOB,
  status              TEXT    NOT NULL CHECK (status IN ('pending', 'inflight', 'done', 'dead', 'aborted')),
  enqueued_at         INTEGER NOT NULL,
  attempts            INTEGER NOT NULL DEFAULT 0,    -- transmissions that have ended, whichever way
  next_attempt_at     INTEGER NOT NULL,
  last_error          TEXT,
  delivered_at        INTEGER,                       -- when the broker's acceptance was recorded
  broker_message_id   TEXT,
  history_id          TEXT,
  aborted_at          INTEGER,
  aborted_by          TEXT,
  superseded_by       TEXT,
  released_at         INTEGER,

  parked              INTEGER NOT NULL DEFAULT 0 CHECK (parked IN (0, 1)), -- waits for next_attempt_at
  reply_to_id         TEXT,
  mentions            TEXT,                          -- JSON array of member ids, or null for none
  addressed           TEXT    NOT NULL,              -- the names as the caller wrote them, before they were looked up
  receipts            INTEGER NOT NULL CHECK (receipts IN (0, 1)),
  message_bytes       INTEGER NOT NULL,
  recipient_count     INTEGER,

  CHECK (sealed IS NULL OR wire_fingerprint IS NOT NULL),
  CHECK (status <> 'inflight' OR sealed IS NOT NULL),
  CHECK (status <> 'done' OR (broker_message_id IS NOT NULL AND history_id IS NOT NULL AND delivered_at IS NOT NULL)),
  CHECK (status <> 'dead' OR last_error IS NOT NULL),
  CHECK ((status = 'aborted') = (aborted_at IS NOT NULL))
) STRICT;

-- One live row per id.
CREATE UNIQUE INDEX outbox_live_id ON outbox (client_message_id) WHERE released_at IS NULL;
-- The claim: one probe per priority finds the oldest row that is ready.
CREATE INDEX outbox_ready ON outbox (priority) WHERE status = 'pending' AND parked = 0;
CREATE INDEX outbox_parked ON outbox (next_attempt_at) WHERE status = 'pending' AND parked = 1;
-- The sweep by age.
CREATE INDEX outbox_age ON outbox (enqueued_at) WHERE status = 'pending';
-- Lists by status, and the rows that a crash or a disconnect left inflight.
CREATE INDEX outbox_status ON outbox (status);
-- Retention: first the contents, then the rows.
CREATE INDEX outbox_retention ON outbox (length(payload) > 0, delivered_at) WHERE status = 'done';
-- Receipts and threads.
CREATE INDEX outbox_broker_message ON outbox (broker_message_id) WHERE broker_message_id IS NOT NULL;
CREATE INDEX outbox_reply ON outbox (reply_to_id) WHERE reply_to_id IS NOT NULL;
-- The chain of requeued rows, read backwards.
CREATE INDEX outbox_predecessor ON outbox (superseded_by) WHERE superseded_by IS NOT NULL;

-- What is proven of a message at each recipient (02 §10).
CREATE TABLE receipt (
  outbox_id TEXT    NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  recipient TEXT    NOT NULL,
  state     TEXT    NOT NULL CHECK (state IN ('delivered', 'read', 'undeliverable')),
  at        INTEGER NOT NULL,
  reason    TEXT,
  PRIMARY KEY (outbox_id, recipient, state)
) STRICT, WITHOUT ROWID;

-- Changes that must still become events: written with the change they tell of, deleted once the event is stored.
CREATE TABLE announcement (
  seq       INTEGER PRIMARY KEY AUTOINCREMENT,
  outbox_id TEXT    NOT NULL,
  kind      TEXT    NOT NULL CHECK (kind IN ('settled', 'receipt')),
  recipient TEXT,
  state     TEXT    NOT NULL
) STRICT;
