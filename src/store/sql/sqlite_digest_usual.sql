-- ?1: a JSON list of [instance_id, profile, first_seen, last_seen, pings, country, subdivision]: installations with their pings. Those
-- that were known with this profile, and were last seen before the first of these pings, get the last of them for their latest; what
-- was known of them comes back.
UPDATE installations
SET last_seen = usual.value ->> 3, previous_seen = installations.last_seen, pings = pings + (usual.value ->> 4),
    country = usual.value ->> 5, subdivision = usual.value ->> 6
FROM json_each(?1) AS usual
WHERE installations.instance_id = usual.value ->> 0 AND installations.profile = unhex(usual.value ->> 1)
    AND installations.last_seen < usual.value ->> 2
RETURNING installations.instance_id, installations.previous_seen, installations.ordinary
