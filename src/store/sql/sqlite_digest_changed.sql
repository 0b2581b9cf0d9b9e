-- Installations that are new, or of which something else is another; ?1: a JSON list of lists. Pings are those added.
INSERT INTO installations (
    instance_id, first_seen, last_seen, previous_seen, pings, profile, ordinary, first_ordinary, country, subdivision,
    kolibri_version, release, build, mode, os, python, installer, language, timezone, database_id, first_version,
    first_release, first_build
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 2, value ->> 3, unhex(value ->> 4), value ->> 5, value ->> 6, value ->> 7, value ->> 8,
    value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 16,
    value ->> 17, value ->> 18, value ->> 19, value ->> 20, value ->> 21
FROM json_each(?1) WHERE true
ON CONFLICT (instance_id) DO UPDATE SET
    first_seen = excluded.first_seen, last_seen = excluded.last_seen, pings = pings + excluded.pings,
    profile = excluded.profile, ordinary = excluded.ordinary, first_ordinary = excluded.first_ordinary,
    country = excluded.country, subdivision = excluded.subdivision, kolibri_version = excluded.kolibri_version,
    release = excluded.release, build = excluded.build, mode = excluded.mode, os = excluded.os, python = excluded.python,
    installer = excluded.installer, language = excluded.language, timezone = excluded.timezone,
    database_id = excluded.database_id, first_version = excluded.first_version, first_release = excluded.first_release,
    first_build = excluded.first_build
