-- Facilities and channels from statistics reports. What no device can have seen is left out, so that nobody spoils a sum.
-- `OFFSET 0` keeps the planner from reading whole tables for a few reports. $1 the moment to stop before, $2 how many reports.
WITH chunk AS MATERIALIZED (
    SELECT id, received_at, pingback_id FROM statistics
    WHERE id > (SELECT id FROM rollup_cursors WHERE name = 'statistics') AND id < reporting.id_from($1)
    ORDER BY id LIMIT $2
), reports AS MATERIALIZED (
    SELECT chunk.id, chunk.received_at, pingbacks.instance_id, coalesce(mode, '') = '' AS ordinary, coalesce(country, '') AS country
    FROM chunk LEFT JOIN LATERAL (SELECT * FROM pingbacks WHERE pingbacks.id = chunk.pingback_id OFFSET 0) AS pingbacks ON true
), facilities AS (
    SELECT reports.received_at, ordinary, country, facility.*,
        -- Of each facility the largest report here, and the newest of equal ones.
        row_number() OVER (PARTITION BY facility_id ORDER BY learners DESC, reports.id DESC, position DESC) = 1 AS is_largest
    FROM reports CROSS JOIN LATERAL (SELECT * FROM facility_statistics WHERE statistics_id = reports.id OFFSET 0) AS facility
    WHERE facility_id <> '' AND learners <= 1000000 AND coaches <= 1000000
        AND greatest(learner_logins, user_sessions, anonymous_sessions, user_minutes, anonymous_minutes) <= 1000000000000
), told_facilities AS (
    INSERT INTO rollup_facilities AS rollup
    SELECT facility_id,
        (array_agg(ordinary) FILTER (WHERE is_largest))[1],
        (array_agg(country) FILTER (WHERE is_largest))[1],
        coalesce((array_agg(settings ->> 'preset') FILTER (WHERE is_largest))[1], ''),
        min(received_at), max(received_at), max(learners),
        (array_agg(coaches) FILTER (WHERE is_largest))[1],
        max(learner_logins), max(user_sessions), max(anonymous_sessions), max(user_minutes), max(anonymous_minutes),
        (array_agg(sessions_by_kind ORDER BY user_sessions + anonymous_sessions DESC))[1],
        (array_agg(nullif(learner_demographics, '{}')) FILTER (WHERE is_largest))[1],
        (array_agg(nullif(non_learner_demographics, '{}')) FILTER (WHERE is_largest))[1],
        reporting.ages_of((array_agg(learner_demographics -> 'bys') FILTER (WHERE is_largest))[1], extract(year FROM max(received_at) FILTER (WHERE is_largest))::double precision),
        reporting.ages_of((array_agg(non_learner_demographics -> 'bys') FILTER (WHERE is_largest))[1], extract(year FROM max(received_at) FILTER (WHERE is_largest))::double precision)
    FROM facilities
    GROUP BY facility_id
    ON CONFLICT (facility_id) DO UPDATE SET
        first_reported = least(rollup.first_reported, excluded.first_reported),
        last_reported = greatest(rollup.last_reported, excluded.last_reported),
        ordinary = CASE WHEN excluded.learners >= rollup.learners THEN excluded.ordinary ELSE rollup.ordinary END,
        country = CASE WHEN excluded.learners >= rollup.learners THEN excluded.country ELSE rollup.country END,
        preset = CASE WHEN excluded.learners >= rollup.learners THEN excluded.preset ELSE rollup.preset END,
        coaches = CASE WHEN excluded.learners >= rollup.learners THEN excluded.coaches ELSE rollup.coaches END,
        learner_demographics = CASE WHEN excluded.learners >= rollup.learners THEN excluded.learner_demographics ELSE rollup.learner_demographics END,
        coach_demographics = CASE WHEN excluded.learners >= rollup.learners THEN excluded.coach_demographics ELSE rollup.coach_demographics END,
        learner_ages = CASE WHEN excluded.learners >= rollup.learners THEN excluded.learner_ages ELSE rollup.learner_ages END,
        coach_ages = CASE WHEN excluded.learners >= rollup.learners THEN excluded.coach_ages ELSE rollup.coach_ages END,
        sessions_by_kind = CASE
            WHEN excluded.user_sessions + excluded.anonymous_sessions >= rollup.user_sessions + rollup.anonymous_sessions
            THEN excluded.sessions_by_kind ELSE rollup.sessions_by_kind END,
        learners = greatest(rollup.learners, excluded.learners),
        learner_logins = greatest(rollup.learner_logins, excluded.learner_logins),
        user_sessions = greatest(rollup.user_sessions, excluded.user_sessions),
        anonymous_sessions = greatest(rollup.anonymous_sessions, excluded.anonymous_sessions),
        user_minutes = greatest(rollup.user_minutes, excluded.user_minutes),
        anonymous_minutes = greatest(rollup.anonymous_minutes, excluded.anonymous_minutes)
), channels AS (
    INSERT INTO rollup_channels AS rollup
    SELECT DISTINCT ON (channel_id, instance_id) channel_id, instance_id, ordinary, country, reports.received_at, storage_mib,
        user_sessions, anonymous_sessions, user_minutes, anonymous_minutes
    FROM reports CROSS JOIN LATERAL (SELECT * FROM channel_statistics WHERE statistics_id = reports.id OFFSET 0) AS channel
    WHERE instance_id <> '' AND channel_id <> '' AND storage_mib BETWEEN 0 AND 1000000000
        AND greatest(user_sessions, anonymous_sessions, user_minutes, anonymous_minutes) <= 1000000000000
    ORDER BY channel_id, instance_id, reports.id DESC, position DESC
    ON CONFLICT (channel_id, instance_id) DO UPDATE SET ordinary = excluded.ordinary, country = excluded.country,
        last_reported = excluded.last_reported, storage_mib = excluded.storage_mib, user_sessions = excluded.user_sessions,
        anonymous_sessions = excluded.anonymous_sessions, user_minutes = excluded.user_minutes,
        anonymous_minutes = excluded.anonymous_minutes
), moved AS (
    UPDATE rollup_cursors SET id = (SELECT id FROM chunk ORDER BY id DESC LIMIT 1)
    WHERE name = 'statistics' AND EXISTS (SELECT FROM chunk)
)
SELECT count(*) FROM chunk
