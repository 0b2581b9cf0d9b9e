-- The installations that pinged since $1, where none pinged after the period; $2: whether it is a month. Each by its last ping.
SELECT
    ordinary, kolibri_version, os, country,
    CASE WHEN $2 THEN date_trunc('month', first_seen AT TIME ZONE 'UTC')::date END AS cohort,
    count(*), count(*) FILTER (WHERE first_seen >= $1), NULL::bigint
FROM installations WHERE last_seen >= $1
GROUP BY 1, 2, 3, 4, 5
