-- Merges pings into `instances`, from lines (id, first, pings): a ping, for how many it stands, and since when.
-- Sorted keys: two strokes never lock the same rows in opposite order. LATERAL and LIMIT: each ping is looked up by its
-- key, never by reading the months.
INSERT INTO instances (
    instance_id, first_seen, last_seen, pings, kolibri_version, mode, platform, os, sysversion, python_version,
    database_id, language, timezone, installer, project, country, subdivision
)
SELECT DISTINCT ON (instance_id)
    instance_id, min(coalesce(first, received_at)) OVER instance, received_at, (sum(pings) OVER instance)::bigint,
    kolibri_version, mode, platform, os, sysversion, python_version, database_id, language, timezone, installer,
    project, country, subdivision
FROM /*lines*/
CROSS JOIN LATERAL (SELECT * FROM pingbacks WHERE pingbacks.id = lines.id LIMIT 1) AS ping
WHERE instance_id <> ''
WINDOW instance AS (PARTITION BY instance_id)
ORDER BY
    instance_id, received_at DESC, kolibri_version COLLATE "C" DESC, mode COLLATE "C" DESC,
    platform COLLATE "C" DESC, os COLLATE "C" DESC, sysversion COLLATE "C" DESC,
    python_version COLLATE "C" DESC, database_id COLLATE "C" DESC, language COLLATE "C" DESC,
    timezone COLLATE "C" DESC, installer COLLATE "C" DESC, project COLLATE "C" DESC, country COLLATE "C" DESC,
    subdivision COLLATE "C" DESC
