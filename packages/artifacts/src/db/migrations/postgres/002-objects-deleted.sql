-- How many objects were ever deleted: an ingest that finds it unchanged knows that its bytes are where it put them.
ALTER TABLE artifacts.registry_meta ADD COLUMN objects_deleted BIGINT NOT NULL DEFAULT 0;
