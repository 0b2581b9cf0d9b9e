-- $1: rows of `channels` as a JSON list; the later one of two reports wins.
INSERT INTO channels (
    channel_id, instance_id, report, position, last_reported, ordinary, country, storage_mib, user_sessions,
    anonymous_sessions, user_minutes, anonymous_minutes
)
SELECT
    channel_id, instance_id, report, position, last_reported, ordinary, country, storage_mib, user_sessions,
    anonymous_sessions, user_minutes, anonymous_minutes
FROM json_to_recordset($1::json) AS channel (
    channel_id text, instance_id text, report uuid, position integer, last_reported timestamptz, ordinary boolean,
    country text, storage_mib double precision, user_sessions bigint, anonymous_sessions bigint, user_minutes bigint,
    anonymous_minutes bigint
)
ON CONFLICT (channel_id, instance_id) DO UPDATE SET
    report = excluded.report, position = excluded.position, last_reported = excluded.last_reported,
    ordinary = excluded.ordinary, country = excluded.country, storage_mib = excluded.storage_mib,
    user_sessions = excluded.user_sessions, anonymous_sessions = excluded.anonymous_sessions,
    user_minutes = excluded.user_minutes, anonymous_minutes = excluded.anonymous_minutes
WHERE (excluded.report, excluded.position) > (channels.report, channels.position)
