-- The box key of every epoch that a verified chain has shown: messages of before a rotation come after it. gone_at is
-- when the member was last found missing from a complete list; null while it is listed.
CREATE TABLE box_key (
  member_id TEXT NOT NULL,
  epoch     INTEGER NOT NULL,
  box_key   TEXT NOT NULL,
  gone_at   INTEGER,
  PRIMARY KEY (member_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE INDEX box_key_gone ON box_key (gone_at) WHERE gone_at IS NOT NULL;

INSERT INTO box_key (member_id, epoch, box_key) SELECT member_id, epoch, box_key FROM member;

-- For whom a message to a topic is sealed, as of an epoch of its subscribers; member_ids is a JSON array.
CREATE TABLE topic_recipients (
  topic      TEXT PRIMARY KEY,
  epoch      INTEGER NOT NULL,
  member_ids TEXT NOT NULL
) STRICT, WITHOUT ROWID;
