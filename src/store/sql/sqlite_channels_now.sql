-- ?1: rows of `channels` as a JSON list; the later one of two reports wins.
INSERT INTO channels (
    channel_id, instance_id, report, position, last_reported, ordinary, country, storage_mib, user_sessions,
    anonymous_sessions, user_minutes, anonymous_minutes
)
SELECT
    value ->> '$.channel_id', value ->> '$.instance_id', value ->> '$.report', value ->> '$.position',
    value ->> '$.last_reported', value ->> '$.ordinary', value ->> '$.country', value ->> '$.storage_mib',
    value ->> '$.user_sessions', value ->> '$.anonymous_sessions', value ->> '$.user_minutes',
    value ->> '$.anonymous_minutes'
FROM json_each(?1) WHERE true
ON CONFLICT (channel_id, instance_id) DO UPDATE SET
    report = excluded.report, position = excluded.position, last_reported = excluded.last_reported,
    ordinary = excluded.ordinary, country = excluded.country, storage_mib = excluded.storage_mib,
    user_sessions = excluded.user_sessions, anonymous_sessions = excluded.anonymous_sessions,
    user_minutes = excluded.user_minutes, anonymous_minutes = excluded.anonymous_minutes
WHERE (excluded.report, excluded.position) > (channels.report, channels.position)
