-- The tables of a broker on PostgreSQL; names as on the embedded engine. Times are milliseconds since the epoch.
--
-- Names and ids are compared byte by byte (COLLATE "C"), whatever the locale of the database: pages of members and topics
-- come in one order from every engine.

CREATE TABLE mesh.mesh (
  id                       TEXT    COLLATE "C" PRIMARY KEY,
  slug                     TEXT    NOT NULL,
  root_key                 TEXT    NOT NULL,
  record                   TEXT    NOT NULL,             -- JSON, signed by root_key
  -- Null in each of these four: what the broker is configured with.
  dedupe_mode              TEXT    CHECK (dedupe_mode IN ('retention_scoped', 'permanent')),
  dedupe_retention_days    INTEGER CHECK (dedupe_retention_days > 0),
  message_retention_days   INTEGER CHECK (message_retention_days > 0),
  clone_concurrency_policy TEXT    CHECK (clone_concurrency_policy IN
                                          ('prefer_newest', 'prefer_oldest', 'allow_concurrent')),
  registered_at            BIGINT  NOT NULL
);

-- The last numbers given out. A number is never given twice, also after the rows that had it are deleted. Whoever gives
-- numbers, or changes whom messages reach, locks the mesh's row first: what is decided then holds until the commit.
CREATE TABLE mesh.mesh_counter (
  mesh_id          TEXT   COLLATE "C" PRIMARY KEY REFERENCES mesh.mesh (id),
  last_history_id  BIGINT NOT NULL DEFAULT 0,
  last_delivery_id BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

CREATE TABLE mesh.member (
  mesh_id          TEXT    COLLATE "C" NOT NULL REFERENCES mesh.mesh (id),
  member_id        TEXT    COLLATE "C" NOT NULL,
  name             TEXT    NOT NULL,
  role             TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
  epoch            BIGINT  NOT NULL,
  signing_key      TEXT    NOT NULL,
  box_key          TEXT    NOT NULL,
  chain            TEXT    NOT NULL,                     -- JSON, the current certificate first
  status           TEXT    NOT NULL CHECK (status IN ('active', 'left', 'revoked')),
  host_fingerprint TEXT,
  joined_at        BIGINT  NOT NULL,                     -- when it was first let in, also if it left since
  -- Null in both of these: the member stays until it leaves or is revoked.
  ephemeral_ttl_ms BIGINT  CHECK (ephemeral_ttl_ms > 0),
  lease_until      BIGINT  CHECK ((lease_until IS NULL) = (ephemeral_ttl_ms IS NULL)),
  -- It is gone, and something may still wait for it.
  draining         BOOLEAN NOT NULL DEFAULT false CHECK (NOT draining OR status <> 'active'),
  PRIMARY KEY (mesh_id, member_id)
);
CREATE INDEX member_by_lease ON mesh.member (lease_until) WHERE status = 'active' AND lease_until IS NOT NULL;
CREATE INDEX member_draining ON mesh.member (mesh_id, member_id) WHERE draining;
CREATE INDEX member_left_by_lease ON mesh.member (mesh_id, lease_until) WHERE status = 'left' AND lease_until IS NOT NULL;
CREATE INDEX member_by_joining ON mesh.member (mesh_id, joined_at);

CREATE TABLE mesh.presence (
  mesh_id      TEXT    COLLATE "C" NOT NULL,
  member_id    TEXT    COLLATE "C" NOT NULL,
  online       BOOLEAN NOT NULL DEFAULT false,
  last_seen_at BIGINT,
  summary      TEXT,
  activity     TEXT,
  visible      BOOLEAN NOT NULL DEFAULT true,
  PRIMARY KEY (mesh_id, member_id),
  FOREIGN KEY (mesh_id, member_id) REFERENCES mesh.member (mesh_id, member_id)
);
CREATE INDEX presence_online ON mesh.presence (mesh_id, member_id) WHERE online;

CREATE TABLE mesh.invite (
  mesh_id   TEXT   COLLATE "C" NOT NULL REFERENCES mesh.mesh (id),
  invite_id TEXT   COLLATE "C" NOT NULL,
  uses      BIGINT NOT NULL,
  not_after BIGINT NOT NULL,
  PRIMARY KEY (mesh_id, invite_id)
);

-- One row per member that an invite admitted: their number is what has been used of it.
CREATE TABLE mesh.invite_use (
  mesh_id   TEXT   COLLATE "C" NOT NULL,
  invite_id TEXT   COLLATE "C" NOT NULL,
  member_id TEXT   COLLATE "C" NOT NULL,
  used_at   BIGINT NOT NULL,
  PRIMARY KEY (mesh_id, invite_id, member_id),
  FOREIGN KEY (mesh_id, invite_id) REFERENCES mesh.invite (mesh_id, invite_id)
);
-- When an issuer of others was first heard of, though it may never have come itself.
CREATE INDEX invite_use_by_member ON mesh.invite_use (mesh_id, member_id);

-- The list in force; it contains all that came before it.
CREATE TABLE mesh.revocation_list (
  mesh_id     TEXT   COLLATE "C" PRIMARY KEY REFERENCES mesh.mesh (id),
  number      BIGINT NOT NULL CHECK (number > 0),
  list        TEXT   NOT NULL,                           -- JSON, signed
  chain       TEXT   NOT NULL,                           -- JSON: of who signed it; empty when the root key did
  received_at BIGINT NOT NULL
);

CREATE TABLE mesh.topic (
  mesh_id          TEXT   COLLATE "C" NOT NULL REFERENCES mesh.mesh (id),
  name             TEXT   COLLATE "C" NOT NULL,
  recipients_epoch BIGINT NOT NULL DEFAULT 0,            -- counts the changes of its subscribers
  created_by       TEXT   NOT NULL,
  created_at       BIGINT NOT NULL,
  PRIMARY KEY (mesh_id, name)
);

CREATE TABLE mesh.topic_subscription (
  mesh_id          TEXT   COLLATE "C" NOT NULL,
  topic            TEXT   COLLATE "C" NOT NULL,
  member_id        TEXT   COLLATE "C" NOT NULL,
  since_history_id BIGINT NOT NULL,                      -- messages after this one were addressed to the member
  subscribed_at    BIGINT NOT NULL,
  PRIMARY KEY (mesh_id, topic, member_id),
  FOREIGN KEY (mesh_id, topic) REFERENCES mesh.topic (mesh_id, name)
);
CREATE INDEX topic_subscription_by_member ON mesh.topic_subscription (mesh_id, member_id);

-- There is a row if and only if the message was accepted. No foreign key to the message: the two have different lives.
CREATE TABLE mesh.client_message_dedupe (
  mesh_id             TEXT    COLLATE "C" NOT NULL,
  sender              TEXT    COLLATE "C" NOT NULL,
  client_message_id   TEXT    COLLATE "C" NOT NULL,
  broker_message_id   TEXT    COLLATE "C" NOT NULL,
  history_id          BIGINT  NOT NULL,
  request_fingerprint BYTEA   NOT NULL CHECK (octet_length(request_fingerprint) = 32),
  destination_kind    TEXT    NOT NULL,
  destination_ref     TEXT    NOT NULL,
  recipient_count     INTEGER NOT NULL,
  first_seen_at       BIGINT  NOT NULL,
  expires_at          BIGINT,                            -- null: never
  history_available   BOOLEAN NOT NULL DEFAULT true,
  PRIMARY KEY (mesh_id, sender, client_message_id)
);
-- An id may be forgotten only when its message is gone: the index is written when a message goes, not when it comes.
CREATE INDEX client_message_dedupe_by_expiry ON mesh.client_message_dedupe (expires_at)
 WHERE expires_at IS NOT NULL AND NOT history_available;

-- Messages to topics and to members alike: both are stored once and delivered to each recipient. (Work queues, where
-- one of many gets a message, have a life of their own and a table of their own.)
CREATE TABLE mesh.topic_message (
  id                TEXT    COLLATE "C" PRIMARY KEY,     -- broker_message_id, ascending
  mesh_id           TEXT    COLLATE "C" NOT NULL,
  history_id        BIGINT  NOT NULL,
  client_message_id TEXT    COLLATE "C" NOT NULL,
  sender            TEXT    COLLATE "C" NOT NULL,
  destination_kind  TEXT    COLLATE "C" NOT NULL CHECK (destination_kind IN ('dm', 'topic')),
  destination_ref   TEXT    COLLATE "C" NOT NULL,
  reply_to          TEXT,
  priority          TEXT    NOT NULL CHECK (priority IN ('now', 'next', 'low')),
  receipts          BOOLEAN NOT NULL,
  accepted_at       BIGINT  NOT NULL,
  sealed            BYTEA   NOT NULL
);
-- Sealed bytes look random: trying to compress them costs time and wins nothing.
ALTER TABLE mesh.topic_message ALTER COLUMN sealed SET STORAGE EXTERNAL;
-- A member's history is read one destination at a time; the time in it lets old rows be skipped unread.
CREATE INDEX topic_message_by_destination
  ON mesh.topic_message (mesh_id, destination_kind, destination_ref, history_id, accepted_at);

CREATE TABLE mesh.message_history (
  mesh_id           TEXT   COLLATE "C" NOT NULL,
  history_id        BIGINT NOT NULL,                     -- 1, 2, 3 … per mesh, without a gap
  broker_message_id TEXT   COLLATE "C" NOT NULL,
  PRIMARY KEY (mesh_id, history_id)
);

-- One row per recipient that has not acknowledged. A claim is void when its time is over, whoever made it.
CREATE TABLE mesh.delivery_queue (
  mesh_id           TEXT   COLLATE "C" NOT NULL,
  recipient         TEXT   COLLATE "C" NOT NULL,
  delivery_id       BIGINT NOT NULL,
  broker_message_id TEXT   COLLATE "C" NOT NULL,
  claimed_by        TEXT,                                -- a connection
  claimed_until     BIGINT CHECK ((claimed_until IS NULL) = (claimed_by IS NULL)),
  PRIMARY KEY (mesh_id, recipient, delivery_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX delivery_queue_by_message ON mesh.delivery_queue (broker_message_id);

-- What waits to be told to the sender of a message. Delivery ids come from the same counter as those of messages.
CREATE TABLE mesh.receipt (
  mesh_id           TEXT   COLLATE "C" NOT NULL,
  member_id         TEXT   COLLATE "C" NOT NULL,         -- who is told: the message's sender
  delivery_id       BIGINT NOT NULL,
  broker_message_id TEXT   COLLATE "C" NOT NULL,
  client_message_id TEXT   COLLATE "C" NOT NULL,
  recipient         TEXT   COLLATE "C" NOT NULL,
  state             TEXT   NOT NULL CHECK (state IN ('delivered', 'read', 'undeliverable')),
  reason            TEXT,
  at                BIGINT NOT NULL,
  claimed_by        TEXT,                                -- a connection
  claimed_until     BIGINT CHECK ((claimed_until IS NULL) = (claimed_by IS NULL)),
  PRIMARY KEY (mesh_id, member_id, delivery_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX receipt_by_age ON mesh.receipt (mesh_id, at);

CREATE TABLE mesh.mention_index (
  mesh_id           TEXT COLLATE "C" NOT NULL,
  mentioned         TEXT COLLATE "C" NOT NULL,
  broker_message_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (mesh_id, mentioned, broker_message_id)
);
CREATE INDEX mention_index_by_message ON mesh.mention_index (broker_message_id);

CREATE TABLE mesh.audit_log (
  seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  mesh_id TEXT   NOT NULL,
  at      BIGINT NOT NULL,
  actor   TEXT   NOT NULL,
  action  TEXT   NOT NULL,
  detail  TEXT   NOT NULL                                -- JSON
);

-- Who has reported a message read: reported again, it is no second receipt. Goes with its message.
CREATE TABLE mesh.message_read (
  broker_message_id TEXT COLLATE "C" NOT NULL REFERENCES mesh.topic_message (id) ON DELETE CASCADE,
  member_id         TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (broker_message_id, member_id)
);

-- Subscriptions that have ended: messages after since_history_id up to until_history_id were addressed to the member,
-- and it may read them later. However a subscription ends, its row comes to stand here.
CREATE TABLE mesh.topic_subscription_past (
  mesh_id          TEXT   COLLATE "C" NOT NULL,
  topic            TEXT   COLLATE "C" NOT NULL,
  member_id        TEXT   COLLATE "C" NOT NULL,
  since_history_id BIGINT NOT NULL,
  until_history_id BIGINT NOT NULL CHECK (until_history_id > since_history_id),
  PRIMARY KEY (mesh_id, member_id, topic, since_history_id)
);

CREATE FUNCTION mesh.keep_ended_subscription() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Of which every message is gone.
  DELETE FROM mesh.topic_subscription_past
   WHERE mesh_id = OLD.mesh_id AND member_id = OLD.member_id
     AND until_history_id < (SELECT min(history_id) FROM mesh.message_history WHERE mesh_id = OLD.mesh_id);
  INSERT INTO mesh.topic_subscription_past (mesh_id, topic, member_id, since_history_id, until_history_id)
  SELECT OLD.mesh_id, OLD.topic, OLD.member_id, OLD.since_history_id, last_history_id
    FROM mesh.mesh_counter WHERE mesh_id = OLD.mesh_id AND last_history_id > OLD.since_history_id;
  RETURN NULL;
END $$;
CREATE TRIGGER topic_subscription_ended AFTER DELETE ON mesh.topic_subscription
  FOR EACH ROW EXECUTE FUNCTION mesh.keep_ended_subscription();
