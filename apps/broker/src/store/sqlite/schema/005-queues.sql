-- Work queues. The states of a message are in queue-states.ts.
CREATE TABLE queue (
  mesh_id          TEXT    NOT NULL REFERENCES mesh (id),
  name             TEXT    NOT NULL,
  recipients_epoch INTEGER NOT NULL DEFAULT 0,           -- counts the changes of its consumers
  consumers        INTEGER NOT NULL DEFAULT 0 CHECK (consumers >= 0),
  max_deliveries   INTEGER NOT NULL CHECK (max_deliveries > 0),
  created_by       TEXT    NOT NULL,
  created_at       INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, name)
) STRICT, WITHOUT ROWID;

-- When a member was a consumer: messages after since_history_id up to until_history_id (null: it still is one) were
-- sealed for it. A member that left and came back has several rows.
CREATE TABLE queue_consumer (
  mesh_id          TEXT    NOT NULL,
  queue            TEXT    NOT NULL,
  member_id        TEXT    NOT NULL,
  since_history_id INTEGER NOT NULL,
  until_history_id INTEGER CHECK (until_history_id > since_history_id),
  joined_at        INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, queue, member_id, since_history_id),
  FOREIGN KEY (mesh_id, queue) REFERENCES queue (mesh_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_consumer_by_member ON queue_consumer (mesh_id, member_id);
CREATE UNIQUE INDEX queue_consumer_present ON queue_consumer (mesh_id, queue, member_id)
 WHERE until_history_id IS NULL;

CREATE TABLE message_queue (
  id                TEXT    PRIMARY KEY,                 -- broker_message_id, ascending
  mesh_id           TEXT    NOT NULL,
  history_id        INTEGER NOT NULL,
  client_message_id TEXT    NOT NULL,
  sender            TEXT    NOT NULL,
  queue             TEXT    NOT NULL,
  reply_to          TEXT,
  priority          TEXT    NOT NULL CHECK (priority IN ('now', 'next', 'low')),
  urgency           INTEGER NOT NULL GENERATED ALWAYS AS (CASE priority WHEN 'now' THEN 0 WHEN 'next' THEN 1 ELSE 2 END),
  receipts          INTEGER NOT NULL CHECK (receipts IN (0, 1)),
  accepted_at       INTEGER NOT NULL,
  sealed            BLOB    NOT NULL,                    -- empty once it is done or dropped
  state             TEXT    NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'leased', 'done', 'dead', 'dropped')),
  -- From when on it can be taken; 0: at once, in its order.
  visible_at        INTEGER CHECK ((visible_at IS NOT NULL) = (state IN ('ready', 'leased'))),
  deliveries        INTEGER NOT NULL DEFAULT 0 CHECK (deliveries >= 0),
  last_try          INTEGER NOT NULL DEFAULT 0 CHECK (last_try IN (0, 1)),
  -- The last lease, and who had it.
  lease_id          TEXT    CHECK (lease_id IS NOT NULL OR state <> 'leased'),
  leased_by         TEXT    CHECK (leased_by IS NOT NULL OR state NOT IN ('leased', 'done', 'dead')),
  settled_at        INTEGER,
  reason            TEXT    CHECK (reason IS NOT NULL OR state <> 'dead')
) STRICT;
-- What can be taken at once, in order; and what is leased or held back, by when that is over. However much of the one there
-- is, the other is found at once.
CREATE INDEX message_queue_fresh ON message_queue (mesh_id, queue, urgency, history_id) WHERE visible_at = 0;
CREATE INDEX message_queue_held ON message_queue (mesh_id, queue, visible_at, state, history_id)
 WHERE visible_at > 0;
CREATE INDEX message_queue_exhausted ON message_queue (visible_at) WHERE visible_at IS NOT NULL AND last_try = 1;
CREATE INDEX message_queue_dead ON message_queue (mesh_id, queue, history_id) WHERE state = 'dead';
CREATE INDEX message_queue_leased ON message_queue (mesh_id, leased_by, queue) WHERE state = 'leased';
