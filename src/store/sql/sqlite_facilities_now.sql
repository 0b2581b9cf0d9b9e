-- ?1: rows of `facilities` as a JSON list.
INSERT OR REPLACE INTO facilities (
    facility_id, first_reported, last_reported, largest, ordinary, country, preset, learners, coaches, learner_demographics,
    coach_demographics, busiest, sessions_by_kind, learner_logins, user_sessions, anonymous_sessions, user_minutes,
    anonymous_minutes
)
SELECT
    value ->> '$.facility_id', value ->> '$.first_reported', value ->> '$.last_reported', value ->> '$.largest',
    value ->> '$.ordinary', value ->> '$.country', value ->> '$.preset', value ->> '$.learners', value ->> '$.coaches',
    value ->> '$.learner_demographics', value ->> '$.coach_demographics', value ->> '$.busiest',
    value ->> '$.sessions_by_kind', value ->> '$.learner_logins', value ->> '$.user_sessions',
    value ->> '$.anonymous_sessions', value ->> '$.user_minutes', value ->> '$.anonymous_minutes'
FROM json_each(?1)
