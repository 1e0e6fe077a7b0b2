-- Each batch once, with its rows, and how often it came again.
CREATE TABLE batch (
  batch_id  TEXT    PRIMARY KEY,
  stored_at INTEGER NOT NULL,
  rows      INTEGER NOT NULL,
  repeats   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE batch_row (
  batch_id TEXT    NOT NULL REFERENCES batch (batch_id),
  position INTEGER NOT NULL,
  row      TEXT    NOT NULL,
  PRIMARY KEY (batch_id, position)
) STRICT, WITHOUT ROWID;
