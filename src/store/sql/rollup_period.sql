-- $1 grain, $2 the period's first day, $3 the day after its last. Each installation once, by its last ping in the period; of a
-- month also by the month in which it was first seen.
WITH latest AS MATERIALIZED (
    SELECT DISTINCT ON (instance_id) instance_id, mode = '' AS ordinary, kolibri_version, os, country,
        count(*) OVER (PARTITION BY instance_id) AS pings
    FROM pingbacks
    WHERE id >= reporting.id_from($2::timestamp AT TIME ZONE 'UTC') AND id < reporting.id_from($3::timestamp AT TIME ZONE 'UTC') AND instance_id <> ''
    ORDER BY instance_id, id DESC
), known AS MATERIALIZED (
    SELECT latest.*, first_seen FROM latest LEFT JOIN instances USING (instance_id)
), retention AS (
    INSERT INTO rollup_retention (month, cohort, ordinary, instances)
    SELECT $2, date_trunc('month', first_seen AT TIME ZONE 'UTC')::date, ordinary, count(*)
    FROM known WHERE $1 = 'month' AND first_seen IS NOT NULL
    GROUP BY 2, 3
)
INSERT INTO rollup_activity (grain, begins, ordinary, release, build, os, country, instances, new_instances, pings)
SELECT $1, $2, ordinary, reporting.release_of(kolibri_version), reporting.build_of(kolibri_version), os, country,
    count(*), count(*) FILTER (WHERE coalesce(first_seen >= $2::timestamp AT TIME ZONE 'UTC', true)), sum(pings)
FROM known
GROUP BY 3, 4, 5, 6, 7
