-- recipients_epoch: of which set of subscribers `sealed` is for; null when the destination has none.
-- awaits_recipients: 1 while a parked row waits for its recipients to be known, which is told before next_attempt_at.
ALTER TABLE outbox ADD COLUMN recipients_epoch INTEGER;
ALTER TABLE outbox ADD COLUMN awaits_recipients INTEGER NOT NULL DEFAULT 0 CHECK (awaits_recipients IN (0, 1));

-- Which rows an answer wakes, in order of acceptance.
CREATE INDEX outbox_awaiting ON outbox (destination_kind, destination_ref)
  WHERE status = 'pending' AND parked = 1 AND awaits_recipients = 1;
