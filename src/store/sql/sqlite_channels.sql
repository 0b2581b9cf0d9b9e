-- ?1: statistics_id, ?2: its channels as a JSON list, with keys named like the columns.
INSERT INTO channel_statistics (
    statistics_id, position, channel_id, version, updated, popular_ids, popular_counts, storage_mib,
    summaries_started, summaries_completed, sessions_by_kind, user_sessions, anonymous_sessions, user_minutes,
    anonymous_minutes, learner_demographics, non_learner_demographics, users, visitors,
    anonymous_sessions_without_visitor, extra
)
SELECT
    ?1, value ->> '$.position', value ->> '$.channel_id', value ->> '$.version', value ->> '$.updated',
    value ->> '$.popular_ids', value ->> '$.popular_counts', value ->> '$.storage_mib',
    value ->> '$.summaries_started', value ->> '$.summaries_completed', value ->> '$.sessions_by_kind',
    value ->> '$.user_sessions', value ->> '$.anonymous_sessions', value ->> '$.user_minutes',
    value ->> '$.anonymous_minutes', value ->> '$.learner_demographics',
    value ->> '$.non_learner_demographics', value ->> '$.users', value ->> '$.visitors',
    value ->> '$.anonymous_sessions_without_visitor', value ->> '$.extra'
FROM json_each(?2)
WHERE true -- or ON would belong to FROM
ON CONFLICT (statistics_id, position) DO NOTHING
