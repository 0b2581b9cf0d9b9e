-- The installations that pinged from ?1 (an id) to before ?2, each by its last ping there (SQLite takes the columns from the row of
-- the greatest id); ?3: the moment of ?1, ?4: whether the period is a month.
SELECT
    coalesce(profiles.mode, '') = '', coalesce(profiles.kolibri_version, ''), coalesce(profiles.os, ''), latest.country,
    CASE WHEN ?4 THEN substr(first_seen, 1, 7) || '-01' END AS cohort,
    count(*), sum(coalesce(first_seen >= ?3, 1)), sum(latest.pings)
FROM (
    SELECT instance_id, profile, country, max(id), count(*) AS pings
    FROM pings WHERE id >= ?1 AND id < ?2 AND instance_id <> '' GROUP BY instance_id
) AS latest
LEFT JOIN profiles ON profiles.instance_id = latest.instance_id AND profiles.profile = latest.profile
LEFT JOIN installations ON installations.instance_id = latest.instance_id
GROUP BY 1, 2, 3, 4, 5
