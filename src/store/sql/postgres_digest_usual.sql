-- $1 to $7: installations with their pings, one array a column. Those that were known with this profile, and were last seen before
-- the first of these pings, get the last of them for their latest; what was known of them comes back.
UPDATE installations
SET last_seen = usual.last_seen, previous_seen = installations.last_seen, pings = installations.pings + usual.pings,
    country = usual.country, subdivision = usual.subdivision
FROM unnest(
    $1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::bigint[], $6::text[], $7::text[]
) AS usual (instance_id, profile, first_seen, last_seen, pings, country, subdivision)
WHERE installations.instance_id = usual.instance_id AND installations.profile = usual.profile
    AND installations.last_seen < usual.first_seen
RETURNING installations.instance_id, installations.previous_seen, installations.ordinary
