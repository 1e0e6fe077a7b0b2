-- restored_at: when this row came out of a backup in which it was still to be sent; null for a row of this outbox's own.
ALTER TABLE outbox ADD COLUMN restored_at INTEGER;
