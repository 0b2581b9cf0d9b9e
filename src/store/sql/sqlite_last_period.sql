-- The installations that pinged since ?1, where none pinged after the period; ?2: whether it is a month. Each by its last ping.
SELECT
    ordinary, kolibri_version, os, country, CASE WHEN ?2 THEN substr(first_seen, 1, 7) || '-01' END AS cohort,
    count(*), sum(first_seen >= ?1), NULL
FROM installations WHERE last_seen >= ?1
GROUP BY 1, 2, 3, 4, 5
