-- What each panel of the Installations dashboard must say, from the rows as they were written: `-- N` is the panel's id. Written
-- for being plainly right; `since` is the begin of the range, which ends now. Each begins with what stands before the first.
WITH pings AS (
    SELECT *, (received_at AT TIME ZONE 'UTC')::date AS day, min(received_at) OVER installation AS first_seen,
        max(received_at) OVER installation AS last_seen, row_number() OVER (PARTITION BY instance_id ORDER BY id DESC) = 1 AS is_latest,
        lag(kolibri_version) OVER pings AS from_version, lag(received_at) OVER pings AS from_at,
        CASE WHEN country = '' THEN 'unknown' ELSE country END AS known_country,
        split_part(kolibri_version, '.', 1) || '.' || split_part(kolibri_version, '.', 2) AS release, kolibri_version LIKE '%rc%' AS is_early
    FROM pingbacks
    WINDOW installation AS (PARTITION BY instance_id), pings AS (PARTITION BY instance_id ORDER BY id)
), ordinary AS (SELECT * FROM pings WHERE mode = ''
), latest AS (SELECT * FROM ordinary WHERE is_latest
), seen AS (SELECT * FROM latest WHERE last_seen >= since() AND first_seen < now()
), weekly AS (
    SELECT DISTINCT ON (date_trunc('week', day), instance_id) date_trunc('week', day)::date AS week, instance_id, release, is_early, os
    FROM ordinary ORDER BY date_trunc('week', day), instance_id, id DESC
), last_week AS (SELECT date_trunc('week', now() AT TIME ZONE 'UTC')::date - 7 AS begins
), reported AS (
    SELECT facility.*, statistics.received_at, pingbacks.instance_id FROM facility_statistics AS facility
    JOIN statistics ON statistics.id = statistics_id JOIN pingbacks ON pingbacks.id = pingback_id WHERE mode = ''
), facilities AS (
    SELECT DISTINCT ON (facility_id) *, max(received_at) OVER (PARTITION BY facility_id) AS last_reported,
        max(user_sessions) OVER (PARTITION BY facility_id) AS most_sessions, max(anonymous_sessions) OVER (PARTITION BY facility_id) AS most_anonymous,
        max(user_minutes) OVER (PARTITION BY facility_id) AS most_minutes, max(anonymous_minutes) OVER (PARTITION BY facility_id) AS most_anonymous_minutes
    FROM reported ORDER BY facility_id, learners DESC, statistics_id DESC, position DESC
), channels AS (
    SELECT DISTINCT ON (channel_id, instance_id) channel.*, statistics.received_at, instance_id FROM channel_statistics AS channel
    JOIN statistics ON statistics.id = statistics_id JOIN pingbacks ON pingbacks.id = pingback_id WHERE mode = ''
    ORDER BY channel_id, instance_id, statistics_id DESC, position DESC
)
-- 1
SELECT count(DISTINCT instance_id) AS installations FROM ordinary
-- 2
SELECT count(DISTINCT instance_id) AS active FROM ordinary, last_week WHERE day >= begins AND day < begins + 7
-- 3
SELECT count(*) AS new FROM latest, last_week WHERE (first_seen AT TIME ZONE 'UTC')::date >= begins AND (first_seen AT TIME ZONE 'UTC')::date < begins + 7
-- 4
SELECT count(DISTINCT country) AS countries FROM latest WHERE country <> ''
-- 5
SELECT sum(most) AS learners FROM (SELECT max(learners) AS most FROM reported GROUP BY facility_id) AS _
-- 6
SELECT day::timestamp AT TIME ZONE 'UTC' AS time, count(DISTINCT instance_id) FILTER (WHERE (first_seen AT TIME ZONE 'UTC')::date < day) AS known,
    count(DISTINCT instance_id) FILTER (WHERE (first_seen AT TIME ZONE 'UTC')::date = day) AS new
FROM ordinary WHERE day >= since()::date GROUP BY day
-- 7
SELECT week AT TIME ZONE 'UTC' AS time, count(DISTINCT instance_id) FILTER (WHERE first_seen AT TIME ZONE 'UTC' < week) AS known,
    count(DISTINCT instance_id) FILTER (WHERE first_seen AT TIME ZONE 'UTC' >= week) AS new
FROM (SELECT *, date_trunc('week', day::timestamp) AS week FROM ordinary) AS _ WHERE week >= since()::date GROUP BY week
-- 8
SELECT month AT TIME ZONE 'UTC' AS time, count(DISTINCT instance_id) FILTER (WHERE first_seen AT TIME ZONE 'UTC' < month) AS known,
    count(DISTINCT instance_id) FILTER (WHERE first_seen AT TIME ZONE 'UTC' >= month) AS new
FROM (SELECT *, date_trunc('month', day::timestamp) AS month FROM ordinary) AS _ WHERE month >= since()::date GROUP BY month
-- 9
SELECT day::timestamp AT TIME ZONE 'UTC' AS time, (SELECT count(*) FROM latest WHERE (first_seen AT TIME ZONE 'UTC')::date <= days.day) AS installations
FROM (SELECT DISTINCT (first_seen AT TIME ZONE 'UTC')::date AS day FROM latest) AS days WHERE day::timestamp AT TIME ZONE 'UTC' BETWEEN since() AND now()
-- 10
SELECT day::timestamp AT TIME ZONE 'UTC' AS time, (SELECT count(*) FROM latest WHERE (first_seen AT TIME ZONE 'UTC')::date = days.day) AS new,
    (SELECT count(*) FROM latest WHERE (first_seen AT TIME ZONE 'UTC')::date BETWEEN days.day - 6 AND days.day) / 7.0 AS average
FROM (SELECT DISTINCT day FROM ordinary WHERE day::timestamp AT TIME ZONE 'UTC' BETWEEN since() AND now()) AS days
-- 11
SELECT quarter, country, count(*) AS installations
FROM (SELECT to_char(first_seen AT TIME ZONE 'UTC', 'YYYY "Q"Q') AS quarter, known_country AS country FROM latest WHERE first_seen >= since()) AS _
GROUP BY 1, 2 HAVING count(*) > 50
-- 12
SELECT known_country AS country, count(*) AS installations, count(*) FILTER (WHERE last_seen >= since()) AS active FROM latest GROUP BY 1 HAVING count(*) >= 10
-- 13
SELECT week::timestamp AT TIME ZONE 'UTC' AS time, release AS metric, count(*)::numeric / (SELECT count(*) FROM weekly AS all_of WHERE all_of.week = weekly.week AND NOT is_early) AS share
FROM weekly WHERE NOT is_early AND week >= since()::date GROUP BY week, release HAVING count(*) >= 10
-- 15
SELECT kolibri_version AS version, count(*) AS installations FROM seen GROUP BY 1 HAVING count(*) >= 10
-- 16
SELECT "from", "to", 'upgrade' AS kind, count(*) AS changes
FROM (SELECT split_part(from_version, '.', 1) || '.' || split_part(from_version, '.', 2) AS "from", release AS "to" FROM ordinary WHERE from_version IS NOT NULL AND received_at >= since()) AS _
WHERE "from" <> "to" GROUP BY 1, 2 HAVING count(*) >= 10
-- 17
SELECT date_trunc('week', first AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS time, release AS metric, count(*) AS installations
FROM (SELECT release, min(received_at) AS first FROM ordinary GROUP BY instance_id, release) AS _ WHERE first >= since() GROUP BY 1, 2 HAVING count(*) >= 10
-- 18
SELECT week::timestamp AT TIME ZONE 'UTC' AS time, 'pre-release' AS metric, count(*) AS installations FROM weekly WHERE is_early AND week >= since()::date GROUP BY 1 HAVING count(*) >= 10
-- 19
SELECT os, count(*) AS installations FROM seen GROUP BY 1 HAVING count(*) >= 10
-- 20
SELECT split_part(python_version, '.', 1) || '.' || split_part(python_version, '.', 2) AS python, count(*) AS installations FROM seen GROUP BY 1 HAVING count(*) >= 10
-- 21
SELECT CASE WHEN installer = '' THEN 'unknown' ELSE installer END AS installer, count(*) AS installations FROM seen GROUP BY 1 HAVING count(*) >= 10
-- 22
SELECT CASE WHEN language = '' THEN 'unknown' ELSE language END AS language, count(*) AS installations FROM seen GROUP BY 1 HAVING count(*) >= 10
-- 23
SELECT CASE WHEN mode = '' THEN 'ordinary' ELSE mode END AS mode, count(*) AS installations FROM pings WHERE is_latest AND last_seen >= since() GROUP BY 1 HAVING count(*) >= 10
-- 24
SELECT week::timestamp AT TIME ZONE 'UTC' AS time, os AS metric, count(*) AS installations FROM weekly WHERE week >= since()::date GROUP BY 1, 2 HAVING count(*) >= 10
-- 25
SELECT CASE WHEN days < 1 THEN '1: under a day' WHEN days < 30 THEN '2: under a month' WHEN days < 180 THEN '3: under half a year' WHEN days < 365 THEN '4: under a year' ELSE '5: longer' END AS age,
    count(*) AS installations
FROM (SELECT extract(epoch FROM last_seen - first_seen) / 86400 AS days FROM seen) AS _ GROUP BY 1 HAVING count(*) >= 10
-- 26
SELECT gap, count(*) AS pings
FROM (SELECT CASE WHEN received_at - from_at < '1 hour' THEN '1: under an hour' WHEN received_at - from_at < '12 hours' THEN '2: under 12 hours' WHEN received_at - from_at < '36 hours' THEN '3: about a day'
    WHEN received_at - from_at < '7 days' THEN '4: under a week' WHEN received_at - from_at < '30 days' THEN '5: under a month' WHEN received_at - from_at < '90 days' THEN '6: under 90 days' ELSE '7: longer' END AS gap
    FROM ordinary WHERE from_at IS NOT NULL AND day >= since()::date) AS _
GROUP BY 1 HAVING count(*) >= 10
-- 27
SELECT CASE WHEN copies = 1 THEN '1' WHEN copies <= 5 THEN '2 to 5' WHEN copies <= 20 THEN '6 to 20' ELSE 'more' END AS installations, count(*) AS databases
FROM (SELECT database_id, count(*) AS copies FROM latest WHERE release <> '0.15' AND kolibri_version <> '0.16.0' GROUP BY 1) AS _ GROUP BY 1
-- 28
SELECT to_char(cohort, 'YYYY-MM') AS month, count(DISTINCT instance_id) AS installations, share(1) AS "1 month later", share(2) AS "2 months", share(3) AS "3 months", share(6) AS "6 months", share(9) AS "9 months", share(12) AS "12 months"
FROM (SELECT instance_id, date_trunc('month', first_seen AT TIME ZONE 'UTC') AS cohort, date_trunc('month', received_at AT TIME ZONE 'UTC') AS month FROM ordinary) AS _
WHERE cohort >= since()::date AND cohort < date_trunc('month', now() AT TIME ZONE 'UTC') GROUP BY cohort HAVING count(DISTINCT instance_id) >= 10
-- 29
SELECT settings ->> 'preset' AS preset, count(*) AS facilities, sum(learners) AS learners, avg(learners) AS "learners each" FROM facilities WHERE last_reported >= since() GROUP BY 1 HAVING count(*) >= 10
-- 30
SELECT 'signed in' AS who, sum(most_sessions) AS sessions, sum(most_minutes) / 60 AS hours, avg(most_sessions) AS "sessions per facility", avg(most_minutes) / 60 AS "hours per facility" FROM facilities WHERE last_reported >= since()
UNION ALL SELECT 'anonymous', sum(most_anonymous), sum(most_anonymous_minutes) / 60, avg(most_anonymous), avg(most_anonymous_minutes) / 60 FROM facilities WHERE last_reported >= since()
-- 31
SELECT channel_id AS channel, count(DISTINCT instance_id) AS installations, sum(user_sessions + anonymous_sessions) AS sessions, avg(storage_mib) * 1048576 AS size FROM channels
WHERE storage_mib > 0 AND received_at >= since() GROUP BY 1 HAVING count(*) >= 10
-- 32
SELECT channel_id AS channel, sum(user_sessions) AS "signed in", sum(anonymous_sessions) AS anonymous, sum(user_minutes + anonymous_minutes) / 60 AS hours FROM channels
WHERE received_at >= since() GROUP BY 1 HAVING count(DISTINCT instance_id) >= 10
-- 33
SELECT kind, sum(number::numeric) AS sessions
FROM (SELECT DISTINCT ON (facility_id) facility_id, sessions_by_kind FROM reported ORDER BY facility_id, user_sessions + anonymous_sessions DESC) AS most
JOIN (SELECT facility_id FROM facilities WHERE last_reported >= since()) AS _ USING (facility_id) CROSS JOIN LATERAL jsonb_each_text(sessions_by_kind) AS __ (kind, number)
GROUP BY 1 HAVING count(*) >= 10
-- 34
SELECT gender, sum(number) AS learners, 0 AS coaches
FROM facilities CROSS JOIN LATERAL (VALUES ('FEMALE', learner_demographics #>> '{gc,FEMALE}'), ('MALE', learner_demographics #>> '{gc,MALE}'), ('NOT_SPECIFIED', learner_demographics #>> '{gc,NOT_SPECIFIED}')) AS _ (gender, told)
CROSS JOIN LATERAL (SELECT told::bigint AS number) AS __ WHERE told IS NOT NULL GROUP BY 1
-- 36
SELECT day, network, installations, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM gap)) FROM (SELECT first_seen - lag(first_seen) OVER (ORDER BY first_seen) AS gap FROM latest
    WHERE ip = network AND (first_seen AT TIME ZONE 'UTC')::date = firsts.day AND first_seen >= now() - interval '7 days') AS gaps) AS interval
FROM (SELECT (first_seen AT TIME ZONE 'UTC')::date AS day, ip AS network, count(*) AS installations FROM latest WHERE first_seen >= now() - interval '7 days' GROUP BY 1, 2 HAVING count(*) >= 10) AS firsts
