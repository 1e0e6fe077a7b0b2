-- The same tables with checks that compare value by value. For a list of more than two (`status IN ('pending', ...)`)
-- SQLite builds a temporary index anew for each row that is written: three of them were a third of an insert.
--
-- Rows keep their row ids, which are the order of acceptance. The table that goes is renamed first: `receipt` follows it
-- and is made anew too, so that dropping the old rows cascades to no receipt.

ALTER TABLE outbox RENAME TO outbox_before;
ALTER TABLE receipt RENAME TO receipt_before;

CREATE TABLE outbox (
  id                  TEXT    PRIMARY KEY,           -- ULID
  client_message_id   TEXT    NOT NULL,
  request_fingerprint BLOB    NOT NULL,              -- 32 bytes, frozen
  destination_kind    TEXT    NOT NULL
    CHECK (destination_kind = 'dm' OR destination_kind = 'topic' OR destination_kind = 'queue'),
  destination_ref     TEXT    NOT NULL,
  priority            TEXT    NOT NULL CHECK (priority = 'next' OR priority = 'now' OR priority = 'low'),
  payload             BLOB    NOT NULL,              -- the envelope as accepted, frozen; empty once the contents have gone
  sealed              BLOB,                          -- frozen before the first transmission
  wire_fingerprint    BLOB,
  status              TEXT    NOT NULL
    CHECK (status = 'pending' OR status = 'inflight' OR status = 'done' OR status = 'dead' OR status = 'aborted'),
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
  recipients_epoch    INTEGER,                       -- of which set of subscribers `sealed` is for
  awaits_recipients   INTEGER NOT NULL DEFAULT 0 CHECK (awaits_recipients IN (0, 1)), -- parked until they are known
  restored_at         INTEGER,                       -- came out of a backup in which it was still to be sent

  CHECK (sealed IS NULL OR wire_fingerprint IS NOT NULL),
  CHECK (status <> 'inflight' OR sealed IS NOT NULL),
  CHECK (status <> 'done' OR (broker_message_id IS NOT NULL AND history_id IS NOT NULL AND delivered_at IS NOT NULL)),
  CHECK (status <> 'dead' OR last_error IS NOT NULL),
  CHECK ((status = 'aborted') = (aborted_at IS NOT NULL))
) STRICT;

INSERT INTO outbox (
  rowid, id, client_message_id, request_fingerprint, destination_kind, destination_ref, priority, payload, sealed,
  wire_fingerprint, status, enqueued_at, attempts, next_attempt_at, last_error, delivered_at, broker_message_id,
  history_id, aborted_at, aborted_by, superseded_by, released_at, parked, reply_to_id, mentions, addressed, receipts,
  message_bytes, recipient_count, recipients_epoch, awaits_recipients, restored_at)
SELECT
  rowid, id, client_message_id, request_fingerprint, destination_kind, destination_ref, priority, payload, sealed,
  wire_fingerprint, status, enqueued_at, attempts, next_attempt_at, last_error, delivered_at, broker_message_id,
  history_id, aborted_at, aborted_by, superseded_by, released_at, parked, reply_to_id, mentions, addressed, receipts,
  message_bytes, recipient_count, recipients_epoch, awaits_recipients, restored_at
FROM outbox_before ORDER BY rowid;

CREATE TABLE receipt (
  outbox_id TEXT    NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  recipient TEXT    NOT NULL,
  state     TEXT    NOT NULL CHECK (state = 'delivered' OR state = 'read' OR state = 'undeliverable'),
  at        INTEGER NOT NULL,
  reason    TEXT,
  PRIMARY KEY (outbox_id, recipient, state)
) STRICT, WITHOUT ROWID;

INSERT INTO receipt (outbox_id, recipient, state, at, reason)
SELECT outbox_id, recipient, state, at, reason FROM receipt_before;

DROP TABLE receipt_before;
DROP TABLE outbox_before;

-- As before; what each is for is said where it was made first.
CREATE UNIQUE INDEX outbox_live_id ON outbox (client_message_id) WHERE released_at IS NULL;
CREATE INDEX outbox_ready ON outbox (priority) WHERE status = 'pending' AND parked = 0;
CREATE INDEX outbox_parked ON outbox (next_attempt_at) WHERE status = 'pending' AND parked = 1;
CREATE INDEX outbox_age ON outbox (enqueued_at) WHERE status = 'pending';
CREATE INDEX outbox_status ON outbox (status);
CREATE INDEX outbox_retention ON outbox (length(payload) > 0, delivered_at) WHERE status = 'done';
CREATE INDEX outbox_broker_message ON outbox (broker_message_id) WHERE broker_message_id IS NOT NULL;
CREATE INDEX outbox_reply ON outbox (reply_to_id) WHERE reply_to_id IS NOT NULL;
CREATE INDEX outbox_predecessor ON outbox (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX outbox_awaiting ON outbox (destination_kind, destination_ref)
  WHERE status = 'pending' AND parked = 1 AND awaits_recipients = 1;
