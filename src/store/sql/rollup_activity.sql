-- $1 grain, $2 the period's first day, $3 the day after its last. Each installation once, by its last ping in the period.
INSERT INTO rollup_activity (grain, begins, ordinary, release, build, os, country, instances, new_instances, pings)
SELECT $1, $2, latest.mode = '', reporting.release_of(latest.kolibri_version), reporting.build_of(latest.kolibri_version),
    latest.os, latest.country, count(*), count(*) FILTER (WHERE coalesce(first_seen >= $2::timestamp AT TIME ZONE 'UTC', true)), sum(latest.pings)
FROM (
    SELECT DISTINCT ON (instance_id) instance_id, mode, kolibri_version, os, country,
        count(*) OVER (PARTITION BY instance_id) AS pings
    FROM pingbacks
    WHERE id >= reporting.id_from($2::timestamp AT TIME ZONE 'UTC') AND id < reporting.id_from($3::timestamp AT TIME ZONE 'UTC') AND instance_id <> ''
    ORDER BY instance_id, id DESC
) AS latest
LEFT JOIN instances USING (instance_id)
GROUP BY 3, 4, 5, 6, 7
