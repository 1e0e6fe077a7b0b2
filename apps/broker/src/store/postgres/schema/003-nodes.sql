-- Several brokers over one database: which of them live, and who is connected to which.

-- Times of this table are of the database's clock, so that nodes whose clocks differ judge each other alike.
CREATE TABLE mesh.broker_node (
  node_id      TEXT    COLLATE "C" PRIMARY KEY,
  started_at   BIGINT  NOT NULL,
  heartbeat_at BIGINT  NOT NULL,
  ended        BOOLEAN NOT NULL DEFAULT false            -- it stopped, or was given up; it does not come back
) WITH (fillfactor = 50);

-- One row per connection that was let in.
CREATE TABLE mesh.seat (
  connection_id TEXT    COLLATE "C" PRIMARY KEY,
  mesh_id       TEXT    COLLATE "C" NOT NULL,
  member_id     TEXT    COLLATE "C" NOT NULL,
  node_id       TEXT    COLLATE "C" NOT NULL,
  instance_id   TEXT    COLLATE "C" NOT NULL,            -- of the process at the other end
  since         BIGINT  NOT NULL,
  open          BOOLEAN NOT NULL DEFAULT false,          -- features are agreed: the member is there
  ending        TEXT                                     -- how its node is to end it; null: it goes on
);
CREATE INDEX seat_by_member ON mesh.seat (mesh_id, member_id);
CREATE INDEX seat_by_node ON mesh.seat (node_id, mesh_id, member_id);
CREATE INDEX seat_ending ON mesh.seat (node_id) WHERE ending IS NOT NULL;

-- Since when a member that is shown as online has had no open seat; null while it has one.
ALTER TABLE mesh.presence ADD COLUMN absent_since BIGINT;
UPDATE mesh.presence SET absent_since = (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE online;
CREATE INDEX presence_absent ON mesh.presence (absent_since) WHERE online AND absent_since IS NOT NULL;

-- What was let through in a window of time. A crash of the database empties both, and a new window begins.
CREATE UNLOGGED TABLE mesh.rate_count (
  slot    BIGINT  NOT NULL,                              -- the number of the window
  mesh_id TEXT    COLLATE "C" NOT NULL,
  sender  TEXT    COLLATE "C" NOT NULL,                  -- empty: of the whole mesh
  taken   INTEGER NOT NULL,
  PRIMARY KEY (slot, mesh_id, sender)
);
CREATE UNLOGGED TABLE mesh.rate_id (
  slot              BIGINT NOT NULL,
  mesh_id           TEXT   COLLATE "C" NOT NULL,
  sender            TEXT   COLLATE "C" NOT NULL,
  client_message_id TEXT   COLLATE "C" NOT NULL,
  PRIMARY KEY (slot, mesh_id, sender, client_message_id)
);

-- Takes one unit for each id that is new in this window, as far as the limits go. Its statements see what the one before
-- it in the lock has committed, which the parts of a single statement would not.
CREATE FUNCTION mesh.take_rate(
  mesh_ids text[], senders text[], ids text[], window_ms bigint, member_max integer, mesh_max integer,
  OUT place bigint, OUT retry_after_ms bigint
) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  now_ms  bigint;
  current_slot bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(1667069537, k.key) FROM
    (SELECT DISTINCT hashtext(m) AS key FROM unnest(mesh_ids) AS m ORDER BY 1) k;
  now_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
  current_slot := now_ms / window_ms;
  RETURN QUERY
  WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(mesh_ids, senders, ids) WITH ORDINALITY AS a (mesh_id, sender, id, number)
  ), fresh AS MATERIALIZED (
    SELECT d.*, row_number() OVER (PARTITION BY d.mesh_id, d.sender ORDER BY d.first) AS of_member
      FROM (SELECT a.mesh_id, a.sender, a.id, min(a.number) AS first FROM asked a GROUP BY 1, 2, 3) d
     WHERE NOT EXISTS (SELECT 1 FROM mesh.rate_id r
                        WHERE r.slot = current_slot AND r.mesh_id = d.mesh_id AND r.sender = d.sender
                          AND r.client_message_id = d.id)
  ), fitting AS MATERIALIZED (
    SELECT f.*, row_number() OVER (PARTITION BY f.mesh_id ORDER BY f.first) AS of_mesh
      FROM fresh f LEFT JOIN mesh.rate_count c
        ON c.slot = current_slot AND c.mesh_id = f.mesh_id AND c.sender = f.sender
     WHERE coalesce(c.taken, 0) + f.of_member <= member_max
  ), taken AS MATERIALIZED (
    SELECT f.* FROM fitting f LEFT JOIN mesh.rate_count c
        ON c.slot = current_slot AND c.mesh_id = f.mesh_id AND c.sender = ''
     WHERE coalesce(c.taken, 0) + f.of_mesh <= mesh_max
  ), kept AS (
    INSERT INTO mesh.rate_id (slot, mesh_id, sender, client_message_id)
    SELECT current_slot, t.mesh_id, t.sender, t.id FROM taken t
  ), counted AS (
    INSERT INTO mesh.rate_count AS c (slot, mesh_id, sender, taken)
    SELECT current_slot, t.mesh_id, t.sender, count(*) FROM taken t GROUP BY t.mesh_id, t.sender
     UNION ALL
    SELECT current_slot, t.mesh_id, '', count(*) FROM taken t GROUP BY t.mesh_id
    ON CONFLICT (slot, mesh_id, sender) DO UPDATE SET taken = c.taken + excluded.taken
  )
  SELECT a.number, (current_slot + 1) * window_ms - now_ms
    FROM asked a
   WHERE EXISTS (SELECT 1 FROM fresh f WHERE f.mesh_id = a.mesh_id AND f.sender = a.sender AND f.id = a.id)
     AND NOT EXISTS (SELECT 1 FROM taken t WHERE t.mesh_id = a.mesh_id AND t.sender = a.sender AND t.id = a.id);
END $$;
