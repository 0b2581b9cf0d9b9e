-- From one ping of an installation to its next: changes of version, and times between. $1 the moment to stop before, $2 how many pings.
WITH chunk AS MATERIALIZED (
    SELECT id, received_at, instance_id, kolibri_version, mode = '' AS ordinary FROM pingbacks
    WHERE id > (SELECT id FROM rollup_cursors WHERE name = 'pingbacks') AND id < reporting.id_from($1)
    ORDER BY id LIMIT $2
), named AS (
    SELECT *, lag(received_at) OVER pings AS before_at, lag(kolibri_version) OVER pings AS before_version,
        lead(id) OVER pings IS NULL AS is_last
    FROM chunk WHERE instance_id <> ''
    WINDOW pings AS (PARTITION BY instance_id ORDER BY id)
), steps AS MATERIALIZED (
    SELECT named.*, coalesce(before_at, seen) AS from_at, coalesce(before_version, installations.kolibri_version, '') AS from_version
    FROM named
    LEFT JOIN rollup_installations AS installations ON before_at IS NULL AND installations.instance_id = named.instance_id
), changes AS (
    INSERT INTO rollup_versions (instance_id, changed_at, from_version, to_version, from_release, to_release, ordinary)
    SELECT instance_id, received_at, from_version, kolibri_version, reporting.release_of(from_version),
        reporting.release_of(kolibri_version), ordinary
    FROM steps WHERE kolibri_version <> from_version
), gaps AS (
    INSERT INTO rollup_gaps AS rollup (day, ordinary, at_least, gaps)
    SELECT (received_at AT TIME ZONE 'UTC')::date, ordinary, at_least, count(*)
    FROM steps
    CROSS JOIN LATERAL (
        SELECT max(bound) AS at_least
        FROM unnest('{0,1 hour,12 hours,36 hours,7 days,30 days,90 days}'::interval[]) AS bound
        WHERE received_at - from_at >= bound OR bound = '0'
    ) AS bucket
    WHERE from_at IS NOT NULL
    GROUP BY 1, 2, 3
    ON CONFLICT (day, ordinary, at_least) DO UPDATE SET gaps = rollup.gaps + excluded.gaps
), latest AS (
    INSERT INTO rollup_installations (instance_id, seen, kolibri_version)
    SELECT instance_id, received_at, kolibri_version FROM steps WHERE is_last
    ON CONFLICT (instance_id) DO UPDATE SET seen = excluded.seen, kolibri_version = excluded.kolibri_version
), moved AS (
    UPDATE rollup_cursors SET id = (SELECT id FROM chunk ORDER BY id DESC LIMIT 1)
    WHERE name = 'pingbacks' AND EXISTS (SELECT FROM chunk)
)
SELECT count(*) FROM chunk
