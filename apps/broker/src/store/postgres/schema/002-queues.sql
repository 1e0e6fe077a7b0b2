-- Work queues. The states of a message are in queue-states.ts.
CREATE TABLE mesh.queue (
  mesh_id          TEXT    COLLATE "C" NOT NULL REFERENCES mesh.mesh (id),
  name             TEXT    COLLATE "C" NOT NULL,
  recipients_epoch BIGINT  NOT NULL DEFAULT 0,           -- counts the changes of its consumers
  consumers        INTEGER NOT NULL DEFAULT 0 CHECK (consumers >= 0),
  max_deliveries   INTEGER NOT NULL CHECK (max_deliveries > 0),
  created_by       TEXT    COLLATE "C" NOT NULL,
  created_at       BIGINT  NOT NULL,
  PRIMARY KEY (mesh_id, name)
);

-- When a member was a consumer: messages after since_history_id up to until_history_id (null: it still is one) were
-- sealed for it. A member that left and came back has several rows.
CREATE TABLE mesh.queue_consumer (
  mesh_id          TEXT   COLLATE "C" NOT NULL,
  queue            TEXT   COLLATE "C" NOT NULL,
  member_id        TEXT   COLLATE "C" NOT NULL,
  since_history_id BIGINT NOT NULL,
  until_history_id BIGINT CHECK (until_history_id > since_history_id),
  joined_at        BIGINT NOT NULL,
  PRIMARY KEY (mesh_id, queue, member_id, since_history_id),
  FOREIGN KEY (mesh_id, queue) REFERENCES mesh.queue (mesh_id, name)
);
CREATE INDEX queue_consumer_by_member ON mesh.queue_consumer (mesh_id, member_id);
CREATE UNIQUE INDEX queue_consumer_present ON mesh.queue_consumer (mesh_id, queue, member_id)
 WHERE until_history_id IS NULL;

CREATE TABLE mesh.message_queue (
  id                TEXT     COLLATE "C" PRIMARY KEY,    -- broker_message_id, ascending
  mesh_id           TEXT     COLLATE "C" NOT NULL,
  history_id        BIGINT   NOT NULL,
  client_message_id TEXT     COLLATE "C" NOT NULL,
  sender            TEXT     COLLATE "C" NOT NULL,
  queue             TEXT     COLLATE "C" NOT NULL,
  reply_to          TEXT,
  priority          TEXT     NOT NULL CHECK (priority IN ('now', 'next', 'low')),
  urgency           SMALLINT NOT NULL
                    GENERATED ALWAYS AS (CASE priority WHEN 'now' THEN 0 WHEN 'next' THEN 1 ELSE 2 END) STORED,
  receipts          BOOLEAN  NOT NULL,
  accepted_at       BIGINT   NOT NULL,
  sealed            BYTEA    NOT NULL,                   -- empty once it is done or dropped
  state             TEXT     NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'leased', 'done', 'dead', 'dropped')),
  -- From when on it can be taken; 0: at once, in its order.
  visible_at        BIGINT   CHECK ((visible_at IS NOT NULL) = (state IN ('ready', 'leased'))),
  deliveries        INTEGER  NOT NULL DEFAULT 0 CHECK (deliveries >= 0),
  last_try          BOOLEAN  NOT NULL DEFAULT false,
  -- The last lease, and who had it.
  lease_id          TEXT     COLLATE "C" CHECK (lease_id IS NOT NULL OR state <> 'leased'),
  leased_by         TEXT     COLLATE "C" CHECK (leased_by IS NOT NULL OR state NOT IN ('leased', 'done', 'dead')),
  settled_at        BIGINT,
  reason            TEXT     CHECK (reason IS NOT NULL OR state <> 'dead')
);
-- What can be taken at once, in order; and what is leased or held back, by when that is over. However much of the one there
-- is, the other is found at once.
CREATE INDEX message_queue_fresh ON mesh.message_queue (mesh_id, queue, urgency, history_id) WHERE visible_at = 0;
CREATE INDEX message_queue_held ON mesh.message_queue (mesh_id, queue, visible_at, state, history_id)
 WHERE visible_at > 0;
CREATE INDEX message_queue_exhausted ON mesh.message_queue (visible_at) WHERE visible_at IS NOT NULL AND last_try;
CREATE INDEX message_queue_dead ON mesh.message_queue (mesh_id, queue, history_id) WHERE state = 'dead';
CREATE INDEX message_queue_leased ON mesh.message_queue (mesh_id, leased_by, queue) WHERE state = 'leased';
