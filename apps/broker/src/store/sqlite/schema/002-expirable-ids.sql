-- An id may be forgotten only when its message is gone, so nothing is to be found by its expiry before that. The index is
-- written when a message goes instead of when it comes.
DROP INDEX client_message_dedupe_by_expiry;
CREATE INDEX client_message_dedupe_by_expiry ON client_message_dedupe (expires_at)
 WHERE expires_at IS NOT NULL AND history_available = 0;
