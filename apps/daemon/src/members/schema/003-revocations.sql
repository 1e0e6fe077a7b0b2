-- The chain that proved a member: every revocation list is judged against it. Members that were proven before have none
-- yet. Without their digest they are proven anew by the next list of members.
ALTER TABLE member ADD COLUMN chain TEXT NOT NULL DEFAULT '[]';
UPDATE member SET chain_digest = x'';
