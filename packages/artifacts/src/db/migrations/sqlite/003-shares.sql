-- Pages of shares by direction and by peer, the work that is left, and whether a message was taken in before.
CREATE INDEX shares_by_direction_and_share_id ON shares (direction, share_id);
CREATE INDEX shares_by_peer_and_share_id ON shares (peer, share_id);
CREATE INDEX shares_by_status_and_share_id ON shares (status, share_id);
CREATE INDEX shares_by_peer_and_client_message_id ON shares (peer, client_message_id);

-- What a share needs until it is done and nobody may read in the log: its key, and the words that go with it. A row goes
-- with the transaction that has no more use for it. Not a view: a replay neither reads nor writes it.
CREATE TABLE share_secrets (
  share_id TEXT NOT NULL PRIMARY KEY,
  key BLOB NOT NULL CHECK (length(key) = 32),
  nonce BLOB CHECK (length(nonce) = 16),
  message TEXT,
  created_at INTEGER NOT NULL
) STRICT;
