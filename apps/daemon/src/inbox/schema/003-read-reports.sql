-- What the reader marked read and the sender is to be told: written with the mark, `answered` when the broker has it.
-- A row stays behind the answer, so that a message that is marked unread and read again is not reported a second time.
CREATE TABLE read_report (
  seq               INTEGER PRIMARY KEY AUTOINCREMENT,
  broker_message_id TEXT    NOT NULL UNIQUE,
  at                INTEGER NOT NULL,
  answered          INTEGER NOT NULL DEFAULT 0 CHECK (answered IN (0, 1))
) STRICT;
CREATE INDEX read_report_waiting ON read_report (seq) WHERE answered = 0;
CREATE INDEX read_report_by_age ON read_report (at);
