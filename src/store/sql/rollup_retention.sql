-- $1 'month', $2 its first day, $3 the day after its last.
INSERT INTO rollup_retention (month, cohort, ordinary, instances)
SELECT $2, date_trunc($1, first_seen AT TIME ZONE 'UTC')::date, latest.mode = '', count(*)
FROM (
    SELECT DISTINCT ON (instance_id) instance_id, mode FROM pingbacks
    WHERE id >= reporting.id_from($2::timestamp AT TIME ZONE 'UTC') AND id < reporting.id_from($3::timestamp AT TIME ZONE 'UTC') AND instance_id <> ''
    ORDER BY instance_id, id DESC
) AS latest
JOIN instances USING (instance_id)
GROUP BY 2, 3
