-- Read receipts. The table of receipts is written anew, since a CHECK cannot be changed.
CREATE TEMP TABLE receipt_before AS SELECT * FROM receipt;
DROP TABLE receipt;

CREATE TABLE receipt (
  mesh_id           TEXT    NOT NULL,
  member_id         TEXT    NOT NULL,                    -- who is told: the message's sender
  delivery_id       INTEGER NOT NULL,
  broker_message_id TEXT    NOT NULL,
  client_message_id TEXT    NOT NULL,
  recipient         TEXT    NOT NULL,
  state             TEXT    NOT NULL CHECK (state IN ('delivered', 'read', 'undeliverable')),
  reason            TEXT,
  at                INTEGER NOT NULL,
  PRIMARY KEY (mesh_id, member_id, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_by_age ON receipt (mesh_id, at);

INSERT INTO receipt (mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state, reason, at)
SELECT mesh_id, member_id, delivery_id, broker_message_id, client_message_id, recipient, state, reason, at
  FROM receipt_before;
DROP TABLE receipt_before;

-- Who has reported a message read: reported again, it is no second receipt. Goes with its message.
CREATE TABLE message_read (
  broker_message_id TEXT NOT NULL REFERENCES topic_message (id) ON DELETE CASCADE,
  member_id         TEXT NOT NULL,
  PRIMARY KEY (broker_message_id, member_id)
) STRICT, WITHOUT ROWID;

-- Subscriptions that have ended: messages after since_history_id up to until_history_id were addressed to the member,
-- and it may read them later. However a subscription ends, its row comes to stand here.
CREATE TABLE topic_subscription_past (
  mesh_id          TEXT    NOT NULL,
  topic            TEXT    NOT NULL,
  member_id        TEXT    NOT NULL,
  since_history_id INTEGER NOT NULL,
  until_history_id INTEGER NOT NULL CHECK (until_history_id > since_history_id),
  PRIMARY KEY (mesh_id, member_id, topic, since_history_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER topic_subscription_ended AFTER DELETE ON topic_subscription BEGIN
  -- Of which every message is gone.
  DELETE FROM topic_subscription_past
   WHERE mesh_id = old.mesh_id AND member_id = old.member_id
     AND until_history_id < coalesce((SELECT min(history_id) FROM message_history WHERE mesh_id = old.mesh_id),
                                     until_history_id + 1);
  INSERT INTO topic_subscription_past (mesh_id, topic, member_id, since_history_id, until_history_id)
  SELECT old.mesh_id, old.topic, old.member_id, old.since_history_id, last_history_id
    FROM mesh_counter WHERE mesh_id = old.mesh_id AND last_history_id > old.since_history_id;
END;
