-- The embedded engine's tables; names as in the PostgreSQL schema `mesh`. Times are milliseconds since the epoch.
--
-- Hot tables (dedupe, messages, history, deliveries, receipts) grow at their end: their keys begin with the mesh and
-- the member and end with something that only ascends. Nothing in them is keyed by a random value of ours.

CREATE TABLE mesh (
  id                       TEXT    PRIMARY KEY,
  slug                     TEXT    NOT NULL,
  root_key                 TEXT    NOT NULL,
  record                   TEXT    NOT NULL,             -- JSON, signed by root_key
  -- Null in each of these four: what the broker is configured with.
  dedupe_mode              TEXT    CHECK (dedupe_mode IN ('retention_scoped', 'permanent')),
  dedupe_retention_days    INTEGER CHECK (dedupe_retention_days > 0),
  message_retention_days   INTEGER CHECK (message_retention_days > 0),
  clone_concurrency_policy TEXT    CHECK (clone_concurrency_policy IN
                                          ('prefer_newest', 'prefer_oldest', 'allow_concurrent')),
  registered_at            INTEGER NOT NULL
) STRICT;

-- The last numbers given out. A number is never given twice, also after the rows that had it are deleted.
CREATE TABLE mesh_counter (
  mesh_id          TEXT    PRIMARY KEY REFERENCES mesh (id),
  last_history_id  INTEGER NOT NULL DEFAULT 0,
  last_delivery_id INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
  mesh_id          TEXT    NOT NULL REFERENCES mesh (id),
  member_id        TEXT    NOT NULL,
  name             TEXT    NOT NULL,
  role             TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
  epoch            INTEGER NOT NULL,
  signing_key      TEXT    NOT NULL,
  box_key          TEXT    NOT NULL,
  chain            TEXT    NOT NULL,                     -- JSON, the current certificate first
  status           TEXT    NOT NULL CHECK (status IN ('active', 'revoked')),
  host_fingerprint TEXT,
  joined_at        INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, member_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE presence (
  mesh_id      TEXT    NOT NULL,
  member_id    TEXT    NOT NULL,
  online       INTEGER NOT NULL DEFAULT 0 CHECK (online IN (0, 1)),
  last_seen_at INTEGER,
  summary      TEXT,
  activity     TEXT,
  visible      INTEGER NOT NULL DEFAULT 1 CHECK (visible IN (0, 1)),
  PRIMARY KEY (mesh_id, member_id),
  FOREIGN KEY (mesh_id, member_id) REFERENCES member (mesh_id, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX presence_online ON presence (mesh_id, member_id) WHERE online = 1;

CREATE TABLE invite (
  mesh_id   TEXT    NOT NULL REFERENCES mesh (id),
  invite_id TEXT    NOT NULL,
  uses      INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, invite_id)
) STRICT, WITHOUT ROWID;

-- One row per member that an invite admitted: their number is what has been used of it.
CREATE TABLE invite_use (
  mesh_id   TEXT    NOT NULL,
  invite_id TEXT    NOT NULL,
  member_id TEXT    NOT NULL,
  used_at   INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, invite_id, member_id),
  FOREIGN KEY (mesh_id, invite_id) REFERENCES invite (mesh_id, invite_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE topic (
  mesh_id          TEXT    NOT NULL REFERENCES mesh (id),
  name             TEXT    NOT NULL,
  recipients_epoch INTEGER NOT NULL DEFAULT 0,           -- counts the changes of its subscribers
  created_by       TEXT    NOT NULL,
  created_at       INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE topic_subscription (
  mesh_id          TEXT    NOT NULL,
  topic            TEXT    NOT NULL,
  member_id        TEXT    NOT NULL,
  since_history_id INTEGER NOT NULL,                     -- messages after this one were addressed to the member
  subscribed_at    INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, topic, member_id),
  FOREIGN KEY (mesh_id, topic) REFERENCES topic (mesh_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX topic_subscription_by_member ON topic_subscription (mesh_id, member_id);

-- There is a row if and only if the message was accepted. No foreign key to the message: the two have different lives.
CREATE TABLE client_message_dedupe (
  seq                 INTEGER PRIMARY KEY,
  mesh_id             TEXT    NOT NULL,
  sender              TEXT    NOT NULL,
  client_message_id   TEXT    NOT NULL,
  broker_message_id   TEXT    NOT NULL,
  history_id          INTEGER NOT NULL,
  request_fingerprint BLOB    NOT NULL CHECK (length(request_fingerprint) = 32),
  destination_kind    TEXT    NOT NULL,
  destination_ref     TEXT    NOT NULL,
  recipient_count     INTEGER NOT NULL,
  first_seen_at       INTEGER NOT NULL,
  expires_at          INTEGER,                           -- null: never
  history_available   INTEGER NOT NULL DEFAULT 1 CHECK (history_available IN (0, 1)),
  UNIQUE (mesh_id, sender, client_message_id)
) STRICT;
CREATE INDEX client_message_dedupe_by_expiry ON client_message_dedupe (expires_at) WHERE expires_at IS NOT NULL;

-- Messages to topics and to members alike: both are stored once and delivered to each recipient. (Work queues, where
-- one of many gets a message, have a life of their own and a table of their own.)
CREATE TABLE topic_message (
  id                TEXT    PRIMARY KEY,                 -- broker_message_id, ascending
  mesh_id           TEXT    NOT NULL,
  history_id        INTEGER NOT NULL,
  client_message_id TEXT    NOT NULL,
  sender            TEXT    NOT NULL,
  destination_kind  TEXT    NOT NULL CHECK (destination_kind IN ('dm', 'topic')),
  destination_ref   TEXT    NOT NULL,
  reply_to          TEXT,
  priority          TEXT    NOT NULL CHECK (priority IN ('now', 'next', 'low')),
  receipts          INTEGER NOT NULL CHECK (receipts IN (0, 1)),
  accepted_at       INTEGER NOT NULL,
  sealed            BLOB    NOT NULL
) STRICT;
-- A member's history is read one destination at a time; the time in it lets old rows be skipped unread.
CREATE INDEX topic_message_by_destination
  ON topic_message (mesh_id, destination_kind, destination_ref, history_id, accepted_at);

CREATE TABLE message_history (
  mesh_id           TEXT    NOT NULL,
  history_id        INTEGER NOT NULL,                    -- 1, 2, 3 … per mesh, without a gap
  broker_message_id TEXT    NOT NULL,
  PRIMARY KEY (mesh_id, history_id)
) STRICT, WITHOUT ROWID;

-- One row per recipient that has not acknowledged. Who has it claimed is known to the process alone, see leases.ts.
CREATE TABLE delivery_queue (
  mesh_id           TEXT    NOT NULL,
  recipient         TEXT    NOT NULL,
  delivery_id       INTEGER NOT NULL,
  broker_message_id TEXT    NOT NULL,
  PRIMARY KEY (mesh_id, recipient, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_queue_by_message ON delivery_queue (broker_message_id);

-- What waits to be told to the sender of a message. Delivery ids come from the same counter as those of messages.
CREATE TABLE receipt (
  mesh_id           TEXT    NOT NULL,
  member_id         TEXT    NOT NULL,                    -- who is told: the message's sender
  delivery_id       INTEGER NOT NULL,
  broker_message_id TEXT    NOT NULL,
  client_message_id TEXT    NOT NULL,
  recipient         TEXT    NOT NULL,
  state             TEXT    NOT NULL CHECK (state IN ('delivered', 'undeliverable')),
  reason            TEXT,
  at                INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, member_id, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_by_age ON receipt (mesh_id, at);

CREATE TABLE mention_index (
  mesh_id           TEXT NOT NULL,
  mentioned         TEXT NOT NULL,
  broker_message_id TEXT NOT NULL,
  PRIMARY KEY (mesh_id, mentioned, broker_message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX mention_index_by_message ON mention_index (broker_message_id);

CREATE TABLE audit_log (
  seq     INTEGER PRIMARY KEY,
  mesh_id TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  actor   TEXT    NOT NULL,
  action  TEXT    NOT NULL,
  detail  TEXT    NOT NULL                               -- JSON
) STRICT;
