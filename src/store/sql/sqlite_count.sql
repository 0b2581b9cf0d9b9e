-- Merges pings into `instances`. ?1: a JSON list of [id, first, pings], a ping, for how many it stands, and since when
-- (null: itself); ?2: only installations after this one.
INSERT INTO instances (
    instance_id, first_seen, last_seen, pings, kolibri_version, mode, platform, os, sysversion, python_version,
    database_id, language, timezone, installer, project, country, subdivision
)
SELECT
    instance_id, coalesce(line.value ->> 1, received_at), received_at, line.value ->> 2, kolibri_version, mode,
    platform, os, sysversion, python_version, database_id, language, timezone, installer, project, country,
    subdivision
FROM json_each(?1) AS line
CROSS JOIN pingbacks ON pingbacks.id = line.value ->> 0
WHERE instance_id > ?2
