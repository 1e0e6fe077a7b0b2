-- How many objects were ever deleted: an ingest that finds it unchanged knows that its bytes are where it put them.
ALTER TABLE registry_meta ADD COLUMN objects_deleted INTEGER NOT NULL DEFAULT 0;
