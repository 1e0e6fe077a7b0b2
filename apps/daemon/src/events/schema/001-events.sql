CREATE TABLE event (
  id   INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  at   INTEGER NOT NULL,
  data TEXT NOT NULL
) STRICT;

-- How far each source has been turned into events. generation names the source's file: a position in one says nothing
-- about its successor.
CREATE TABLE cursor (
  source     TEXT PRIMARY KEY,
  generation TEXT NOT NULL,
  position   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events_state (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  rebuilt_at INTEGER
) STRICT;
