-- reserved_id: ids up to this one may have been given, also where a power cut has taken the events.
-- start_id: since the last start that found ids reserved beyond its events, ids begin above this one.
ALTER TABLE events_state ADD COLUMN reserved_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events_state ADD COLUMN start_id INTEGER NOT NULL DEFAULT 0;
