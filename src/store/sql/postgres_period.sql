-- The installations that pinged from $1 (an id) to before $2, each by its last ping there; $3: the moment of $1, $4: whether the
-- period is a month. Grouped first, then looked up by key: a sort of all pings takes three times as long.
SELECT
    coalesce(profiles.mode, '') = '' AS ordinary, coalesce(profiles.kolibri_version, ''), coalesce(profiles.os, ''), ping.country,
    CASE WHEN $4 THEN date_trunc('month', first_seen AT TIME ZONE 'UTC')::date END AS cohort,
    count(*), count(*) FILTER (WHERE coalesce(first_seen >= $3, true)), sum(latest.pings)::bigint
FROM (
    SELECT instance_id, max(id::text)::uuid AS id, count(*) AS pings
    FROM pings WHERE id >= $1 AND id < $2 AND instance_id <> '' GROUP BY instance_id
) AS latest
JOIN pings AS ping ON ping.id = latest.id AND ping.instance_id = latest.instance_id AND ping.id >= $1 AND ping.id < $2
LEFT JOIN profiles ON profiles.instance_id = ping.instance_id AND profiles.profile = ping.profile
LEFT JOIN installations ON installations.instance_id = ping.instance_id
GROUP BY 1, 2, 3, 4, 5
