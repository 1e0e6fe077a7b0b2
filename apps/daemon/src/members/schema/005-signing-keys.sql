-- Who signs at the epoch of a box key: a rotation is signed by the key before it, also of a member that was gone in
-- between. Null for epochs that were proven before this was kept.
ALTER TABLE box_key ADD COLUMN signing_key TEXT;
UPDATE box_key SET signing_key = (
  SELECT m.signing_key FROM member m WHERE m.member_id = box_key.member_id AND m.epoch = box_key.epoch
);
