-- ?1: statistics_id, ?2: its facilities as a JSON list, with keys named like the columns.
INSERT INTO facility_statistics (
    statistics_id, position, facility_id, settings, learners, learner_logins, coaches, coach_logins,
    first_used, last_used, lessons, exams, exam_logs, attempt_logs, exam_attempt_logs, classes, "groups",
    devices, user_subset, summaries_started, summaries_completed, sessions_by_kind, user_sessions,
    anonymous_sessions, user_minutes, anonymous_minutes, learner_demographics, non_learner_demographics, users,
    visitors, anonymous_sessions_without_visitor, extra
)
SELECT
    ?1, value ->> '$.position', value ->> '$.facility_id', value ->> '$.settings', value ->> '$.learners',
    value ->> '$.learner_logins', value ->> '$.coaches', value ->> '$.coach_logins', value ->> '$.first_used',
    value ->> '$.last_used', value ->> '$.lessons', value ->> '$.exams', value ->> '$.exam_logs',
    value ->> '$.attempt_logs', value ->> '$.exam_attempt_logs', value ->> '$.classes', value ->> '$.groups',
    value ->> '$.devices', value ->> '$.user_subset', value ->> '$.summaries_started',
    value ->> '$.summaries_completed', value ->> '$.sessions_by_kind', value ->> '$.user_sessions',
    value ->> '$.anonymous_sessions', value ->> '$.user_minutes', value ->> '$.anonymous_minutes',
    value ->> '$.learner_demographics', value ->> '$.non_learner_demographics', value ->> '$.users',
    value ->> '$.visitors', value ->> '$.anonymous_sessions_without_visitor', value ->> '$.extra'
FROM json_each(?2)
WHERE true -- or ON would belong to FROM
ON CONFLICT (statistics_id, position) DO NOTHING
