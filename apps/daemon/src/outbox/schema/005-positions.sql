-- Positions are never given twice, also when the newest rows are deleted: whoever reads behind a position misses none.
-- last_position: the greatest that a deleted row may have had; written before the deletion.
CREATE TABLE outbox_state (
  id            INTEGER PRIMARY KEY CHECK (id = 1),
  last_position INTEGER NOT NULL
) STRICT;
INSERT INTO outbox_state (id, last_position) SELECT 1, coalesce(max(rowid), 0) FROM outbox;
