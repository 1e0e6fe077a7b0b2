-- Who may append to each shared space, and how far its log is. What each column means is in spaces.ts.
CREATE TABLE space_lease (
  mesh_id    TEXT    NOT NULL REFERENCES mesh (id),
  space      TEXT    NOT NULL,
  holder     TEXT,                                       -- null: nobody holds it
  epoch      INTEGER NOT NULL CHECK (epoch > 0),
  expires_at INTEGER NOT NULL,
  head_seq   INTEGER NOT NULL CHECK (head_seq >= 0),
  head_id    TEXT    CHECK ((head_id IS NULL) = (head_seq = 0)),
  PRIMARY KEY (mesh_id, space)
) STRICT, WITHOUT ROWID;
