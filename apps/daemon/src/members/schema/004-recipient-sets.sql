-- Sets of recipients of work queues beside those of topics: as of an epoch, member_ids is a JSON array.
CREATE TABLE recipient_set (
  kind       TEXT NOT NULL CHECK (kind IN ('topic', 'queue')),
  ref        TEXT NOT NULL,
  epoch      INTEGER NOT NULL,
  member_ids TEXT NOT NULL,
  PRIMARY KEY (kind, ref)
) STRICT, WITHOUT ROWID;

INSERT INTO recipient_set (kind, ref, epoch, member_ids) SELECT 'topic', topic, epoch, member_ids FROM topic_recipients;

DROP TABLE topic_recipients;
