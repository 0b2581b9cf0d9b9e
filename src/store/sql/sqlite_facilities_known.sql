-- Rows of `facilities` as JSON; ?1: a JSON list of their ids.
SELECT json_object(
    'facility_id', facility_id, 'first_reported', first_reported, 'last_reported', last_reported, 'largest', json(largest),
    'ordinary', json(CASE WHEN ordinary THEN 'true' ELSE 'false' END), 'country', country, 'preset', preset,
    'learners', learners, 'coaches', coaches, 'learner_demographics', json(learner_demographics),
    'coach_demographics', json(coach_demographics), 'busiest', json(busiest), 'sessions_by_kind', json(sessions_by_kind),
    'learner_logins', learner_logins, 'user_sessions', user_sessions, 'anonymous_sessions', anonymous_sessions,
    'user_minutes', user_minutes, 'anonymous_minutes', anonymous_minutes
)
FROM facilities WHERE facility_id IN (SELECT value FROM json_each(?1))
