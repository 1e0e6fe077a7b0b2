CREATE TABLE inbox (
  seq               INTEGER PRIMARY KEY AUTOINCREMENT,
  broker_message_id TEXT NOT NULL,
  client_message_id TEXT NOT NULL,
  sender            TEXT NOT NULL,
  history_id        TEXT NOT NULL,
  destination_kind  TEXT NOT NULL CHECK (destination_kind IN ('dm', 'topic', 'queue')),
  destination_ref   TEXT NOT NULL,
  reply_to_id       TEXT,
  priority          TEXT NOT NULL CHECK (priority IN ('now', 'next', 'low')),
  origin            TEXT NOT NULL CHECK (origin IN ('delivery', 'history')),
  opened            INTEGER NOT NULL CHECK (opened IN (0, 1)),
  body              TEXT,
  meta              TEXT,
  sealed            BLOB,
  accepted_at       INTEGER NOT NULL,
  received_at       INTEGER NOT NULL,
  read_at           INTEGER,
  UNIQUE (sender, client_message_id),
  CHECK (CASE opened WHEN 1 THEN body IS NOT NULL AND sealed IS NULL
                     ELSE body IS NULL AND meta IS NULL AND sealed IS NOT NULL END)
) STRICT;

-- Every index ends in the rowid, which is seq: a page filtered by one of them comes out in order without a sort.
CREATE UNIQUE INDEX inbox_broker_message_id ON inbox (broker_message_id);
CREATE INDEX inbox_sender ON inbox (sender);
CREATE INDEX inbox_topic ON inbox (destination_ref) WHERE destination_kind = 'topic';
CREATE INDEX inbox_reply ON inbox (reply_to_id) WHERE reply_to_id IS NOT NULL;
CREATE INDEX inbox_unread ON inbox (seq) WHERE read_at IS NULL;
CREATE INDEX inbox_received ON inbox (received_at);

-- The words of opened bodies by seq. Contentless: the text itself is in inbox.body alone.
CREATE VIRTUAL TABLE inbox_text USING fts5 (
  body, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

-- One row. generation names this file for ever, so that a position in it is never applied to a successor.
CREATE TABLE inbox_state (
  id            INTEGER PRIMARY KEY CHECK (id = 1),
  generation    TEXT NOT NULL,
  rebuilt_at    INTEGER,
  rebuilt_from  TEXT,
  refetch       TEXT NOT NULL CHECK (refetch IN ('none', 'running')),
  refetch_after TEXT
) STRICT;
