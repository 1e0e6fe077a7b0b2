-- Ephemeral members that left are forgotten some time after the end of their lease.
CREATE INDEX member_left_by_lease ON member (mesh_id, lease_until) WHERE status = 'left' AND lease_until IS NOT NULL;
