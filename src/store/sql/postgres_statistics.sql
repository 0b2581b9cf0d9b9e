-- $1: the reports as a JSON list, with keys named like the columns; $2: the sorted ids of the pings that they refer to, $3 and
-- $4 the smallest and the largest of them, so that only those months are read; $5: the batch; $6 to $8: the state known to the
-- writer. /*replay*/ becomes ON CONFLICT DO NOTHING.
WITH present AS (
    SELECT 1 FROM store_state WHERE generation = $6 AND tableoid::bigint = $7 AND pg_postmaster_start_time() = $8
), report AS MATERIALIZED (
    SELECT DISTINCT ON (id) *
    FROM json_to_recordset($1::json) AS r (
        id uuid, received_at timestamptz, pi text, pingback uuid, channels json, facilities json, extra text
    )
    WHERE EXISTS (SELECT FROM present)
), named AS (
    SELECT id FROM pings WHERE id = ANY ($2::uuid[]) AND id >= $3 AND id <= $4
), kept AS (
    INSERT INTO statistics (id, received_at, pingback_id, pi, extra)
    SELECT report.id, received_at, named.id, pi, extra::jsonb FROM report LEFT JOIN named ON named.id = report.pingback
    /*replay*/
    RETURNING id
), noted AS (
    INSERT INTO outbox (batch, kind, least_id, greatest_id, ids)
    SELECT $5::uuid, 'statistics', min(id::text)::uuid, max(id::text)::uuid, array_agg(id) FROM kept HAVING count(*) > 0
), channel AS (
    INSERT INTO channel_statistics (
        statistics_id, position, channel_id, version, updated, popular_ids, popular_counts, storage_mib,
        summaries_started, summaries_completed, sessions_by_kind, user_sessions, anonymous_sessions,
        user_minutes, anonymous_minutes, learner_demographics, non_learner_demographics, users, visitors,
        anonymous_sessions_without_visitor, extra
    )
    SELECT
        kept.id, c.position, c.channel_id, c.version, c.updated, c.popular_ids::jsonb, c.popular_counts::jsonb,
        c.storage_mib, c.summaries_started, c.summaries_completed, c.sessions_by_kind::jsonb, c.user_sessions,
        c.anonymous_sessions, c.user_minutes, c.anonymous_minutes, c.learner_demographics::jsonb,
        c.non_learner_demographics::jsonb, c.users, c.visitors, c.anonymous_sessions_without_visitor,
        c.extra::jsonb
    FROM kept JOIN report USING (id) CROSS JOIN LATERAL json_to_recordset(report.channels) AS c (
        position integer,
        channel_id text, version bigint, updated date, popular_ids text, popular_counts text,
        storage_mib double precision, summaries_started bigint, summaries_completed bigint,
        sessions_by_kind text, user_sessions bigint, anonymous_sessions bigint, user_minutes bigint,
        anonymous_minutes bigint, learner_demographics text, non_learner_demographics text, users bigint,
        visitors bigint, anonymous_sessions_without_visitor bigint, extra text
    )
), facility AS (
    INSERT INTO facility_statistics (
        statistics_id, position, facility_id, settings, learners, learner_logins, coaches, coach_logins,
        first_used, last_used, lessons, exams, exam_logs, attempt_logs, exam_attempt_logs, classes, "groups",
        devices, user_subset, summaries_started, summaries_completed, sessions_by_kind, user_sessions,
        anonymous_sessions, user_minutes, anonymous_minutes, learner_demographics, non_learner_demographics,
        users, visitors, anonymous_sessions_without_visitor, extra
    )
    SELECT
        kept.id, f.position, f.facility_id, f.settings::jsonb, f.learners, f.learner_logins, f.coaches,
        f.coach_logins, f.first_used, f.last_used, f.lessons, f.exams, f.exam_logs, f.attempt_logs,
        f.exam_attempt_logs, f.classes, f."groups", f.devices::jsonb, f.user_subset, f.summaries_started,
        f.summaries_completed, f.sessions_by_kind::jsonb, f.user_sessions, f.anonymous_sessions,
        f.user_minutes, f.anonymous_minutes, f.learner_demographics::jsonb, f.non_learner_demographics::jsonb,
        f.users, f.visitors, f.anonymous_sessions_without_visitor, f.extra::jsonb
    FROM kept JOIN report USING (id) CROSS JOIN LATERAL json_to_recordset(report.facilities) AS f (
        position integer,
        facility_id text, settings text, learners bigint, learner_logins bigint, coaches bigint,
        coach_logins bigint, first_used date, last_used date, lessons bigint, exams bigint, exam_logs bigint,
        attempt_logs bigint, exam_attempt_logs bigint, classes bigint, "groups" bigint, devices text,
        user_subset text, summaries_started bigint, summaries_completed bigint, sessions_by_kind text,
        user_sessions bigint, anonymous_sessions bigint, user_minutes bigint, anonymous_minutes bigint,
        learner_demographics text, non_learner_demographics text, users bigint, visitors bigint,
        anonymous_sessions_without_visitor bigint, extra text
    )
)
SELECT EXISTS (SELECT FROM present)
