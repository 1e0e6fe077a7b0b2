-- Who may append to each shared space, and how far its log is. What each column means is in spaces.ts.
CREATE TABLE mesh.space_lease (
  mesh_id    TEXT   COLLATE "C" NOT NULL REFERENCES mesh.mesh (id),
  space      TEXT   COLLATE "C" NOT NULL,
  holder     TEXT   COLLATE "C",                         -- null: nobody holds it
  epoch      BIGINT NOT NULL CHECK (epoch > 0),
  expires_at BIGINT NOT NULL,
  head_seq   BIGINT NOT NULL CHECK (head_seq >= 0),
  head_id    TEXT   COLLATE "C" CHECK ((head_id IS NULL) = (head_seq = 0)),
  PRIMARY KEY (mesh_id, space)
);
