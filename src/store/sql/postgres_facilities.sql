-- $1: rows of `facilities` as a JSON list.
INSERT INTO facilities (
    facility_id, first_reported, last_reported, largest, ordinary, country, preset, learners, coaches, learner_demographics,
    coach_demographics, busiest, sessions_by_kind, learner_logins, user_sessions, anonymous_sessions, user_minutes,
    anonymous_minutes
)
SELECT
    facility_id, first_reported, last_reported, largest, ordinary, country, preset, learners, coaches, learner_demographics,
    coach_demographics, busiest, sessions_by_kind, learner_logins, user_sessions, anonymous_sessions, user_minutes,
    anonymous_minutes
FROM json_to_recordset($1::json) AS facility (
    facility_id text, first_reported timestamptz, last_reported timestamptz, largest json, ordinary boolean, country text,
    preset text, learners bigint, coaches bigint, learner_demographics jsonb, coach_demographics jsonb, busiest json,
    sessions_by_kind jsonb, learner_logins bigint, user_sessions bigint, anonymous_sessions bigint, user_minutes bigint,
    anonymous_minutes bigint
)
ON CONFLICT (facility_id) DO UPDATE SET
    first_reported = excluded.first_reported, last_reported = excluded.last_reported, largest = excluded.largest,
    ordinary = excluded.ordinary, country = excluded.country, preset = excluded.preset, learners = excluded.learners,
    coaches = excluded.coaches, learner_demographics = excluded.learner_demographics,
    coach_demographics = excluded.coach_demographics, busiest = excluded.busiest,
    sessions_by_kind = excluded.sessions_by_kind, learner_logins = excluded.learner_logins,
    user_sessions = excluded.user_sessions, anonymous_sessions = excluded.anonymous_sessions,
    user_minutes = excluded.user_minutes, anonymous_minutes = excluded.anonymous_minutes
