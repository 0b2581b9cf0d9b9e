-- Installations that are new, or of which something else is another: $1 to $22, one array a column; pings are those added.
INSERT INTO installations (
    instance_id, first_seen, last_seen, previous_seen, pings, profile, ordinary, first_ordinary, country, subdivision,
    kolibri_version, release, build, mode, os, python, installer, language, timezone, database_id, first_version,
    first_release, first_build
)
SELECT
    instance_id, first_seen, last_seen, last_seen, pings, profile, ordinary, first_ordinary, country, subdivision, kolibri_version,
    release, build, mode, os, python, installer, language, timezone, database_id, first_version, first_release, first_build
FROM unnest(
    $1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::uuid[], $6::boolean[], $7::boolean[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
    $18::text[], $19::text[], $20::text[], $21::text[], $22::text[]
) AS changed (
    instance_id, first_seen, last_seen, pings, profile, ordinary, first_ordinary, country, subdivision, kolibri_version,
    release, build, mode, os, python, installer, language, timezone, database_id, first_version, first_release, first_build
)
ON CONFLICT (instance_id) DO UPDATE SET
    first_seen = excluded.first_seen, last_seen = excluded.last_seen, pings = installations.pings + excluded.pings,
    profile = excluded.profile, ordinary = excluded.ordinary, first_ordinary = excluded.first_ordinary,
    country = excluded.country, subdivision = excluded.subdivision, kolibri_version = excluded.kolibri_version,
    release = excluded.release, build = excluded.build, mode = excluded.mode, os = excluded.os, python = excluded.python,
    installer = excluded.installer, language = excluded.language, timezone = excluded.timezone,
    database_id = excluded.database_id, first_version = excluded.first_version, first_release = excluded.first_release,
    first_build = excluded.first_build
