-- A page costs what is on it, whichever filters are combined: each index ends in whether a message is unread. A page of
-- read and unread ones alike merges the two ends of it.
DROP INDEX inbox_sender;
DROP INDEX inbox_topic;
CREATE INDEX inbox_sender ON inbox (sender, read_at IS NULL);
CREATE INDEX inbox_topic ON inbox (destination_ref, read_at IS NULL) WHERE destination_kind = 'topic';
CREATE INDEX inbox_topic_sender ON inbox (destination_ref, sender, read_at IS NULL) WHERE destination_kind = 'topic';

-- The latest received_at up to this row. It never falls with seq, also when the clock stepped back, so that the first row
-- received since a time is found by one probe; received_at alone would have to be asked of every later row.
ALTER TABLE inbox ADD COLUMN received_max INTEGER NOT NULL DEFAULT 0;
UPDATE inbox SET received_max = passed.latest
  FROM (SELECT seq, max(received_at) OVER (ORDER BY seq) AS latest FROM inbox) AS passed
 WHERE passed.seq = inbox.seq;
CREATE INDEX inbox_received_max ON inbox (received_max);
