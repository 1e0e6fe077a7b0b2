-- What refers to an object, by its state and in order: the first of many is found without looking at all. The index that it
-- takes the place of is known by its columns: a rebuild gives others names than these.
DO $$
DECLARE former TEXT;
BEGIN
  SELECT indexrelid::regclass INTO STRICT former FROM pg_index
   WHERE indrelid = 'artifacts.storage_locations'::regclass
     AND pg_get_indexdef(indexrelid) LIKE '%(backend_id, content_address, status)';
  EXECUTE 'DROP INDEX ' || former;
END $$;
CREATE INDEX ON artifacts.storage_locations (backend_id, content_address, status, storage_location_id);
