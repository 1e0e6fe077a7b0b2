-- One generation of one partition (08 §1).

-- key: the seq, so that a read of what is new begins where it is and deleting the oldest rows frees whole pages; below 0
-- for a row that has none. recorded_at only grows with key, whatever `at` says.
CREATE TABLE history_row (
  key               INTEGER PRIMARY KEY,
  direction         TEXT    NOT NULL
    CHECK (direction = 'sent' OR direction = 'received' OR direction = 'receipt' OR direction = 'event'),
  mesh              TEXT    NOT NULL,
  at                INTEGER NOT NULL,
  sender            TEXT,
  destination       TEXT,
  client_message_id TEXT,
  broker_message_id TEXT,
  history_id        TEXT,
  body              TEXT,
  meta              TEXT,                            -- canonical JSON
  state             TEXT    NOT NULL,
  row_id            BLOB    NOT NULL CHECK (length(row_id) = 32),
  recorded_at       INTEGER NOT NULL
) STRICT;

-- What was recorded already is not recorded again.
CREATE UNIQUE INDEX history_row_id ON history_row (row_id);

-- How far each source has been recorded: moved in the transaction that adds its rows.
CREATE TABLE source_cursor (
  source     TEXT    PRIMARY KEY,
  generation TEXT    NOT NULL,
  position   INTEGER NOT NULL
) STRICT;

-- Who exports the partition, and up to where they have.
CREATE TABLE sink (
  name             TEXT    PRIMARY KEY,
  acknowledged_seq INTEGER NOT NULL
) STRICT;

-- Rows that retention deleted before every sink had acknowledged them.
CREATE TABLE lost_row (
  seq INTEGER PRIMARY KEY
) STRICT;

-- One row. newest_seq also when that row is gone; promised_seq: up to where a reader was told that rows are on the disk.
CREATE TABLE partition_state (
  id           INTEGER PRIMARY KEY CHECK (id = 1),
  newest_seq   INTEGER NOT NULL,
  promised_seq INTEGER NOT NULL,
  pruned_rows  INTEGER NOT NULL
) STRICT;
INSERT INTO partition_state (id, newest_seq, promised_seq, pruned_rows) VALUES (1, 0, 0, 0);
