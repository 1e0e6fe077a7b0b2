-- What refers to an object, by its state and in order: the first of many is found without looking at all.
DROP INDEX storage_locations_by_backend_id_and_content_address_and_status;
CREATE INDEX storage_locations_by_backend_id_and_content_address_and_status ON storage_locations (backend_id, content_address, status, storage_location_id);
