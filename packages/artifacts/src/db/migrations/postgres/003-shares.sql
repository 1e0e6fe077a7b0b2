-- Pages of shares by direction and by peer, the work that is left, and whether a message was taken in before. The names
-- are the engine's own: a rebuild gives others.
CREATE INDEX ON artifacts.shares (direction, share_id);
CREATE INDEX ON artifacts.shares (peer, share_id);
CREATE INDEX ON artifacts.shares (status, share_id);
CREATE INDEX ON artifacts.shares (peer, client_message_id);

-- What a share needs until it is done and nobody may read in the log: its key, and the words that go with it. A row goes
-- with the transaction that has no more use for it. Not a view: a replay neither reads nor writes it.
CREATE TABLE artifacts.share_secrets (
  share_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  key BYTEA NOT NULL CHECK (length(key) = 32),
  nonce BYTEA CHECK (length(nonce) = 16),
  message TEXT COLLATE "C",
  created_at BIGINT NOT NULL
);
