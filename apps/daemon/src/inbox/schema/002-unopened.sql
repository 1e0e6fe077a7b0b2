-- Why a message could not be opened; null for one that was.
ALTER TABLE inbox ADD COLUMN unopened_reason TEXT;
UPDATE inbox SET unopened_reason = 'malformed' WHERE opened = 0;

-- What is tried again when a key is learnt.
CREATE INDEX inbox_unopened ON inbox (unopened_reason) WHERE opened = 0;
