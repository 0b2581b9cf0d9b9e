-- ?1: the rows as a JSON list of lists, in the order of the columns.
INSERT INTO pingbacks (
    id, received_at, instance_id, kolibri_version, mode, platform, os, sysversion, python_version, database_id,
    system_id, node_id, language, timezone, uptime, client_time, installer, project, ip, country, subdivision,
    privacy_notice, extra
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14,
    value ->> 15, value ->> 16, value ->> 17, value ->> 18, value ->> 19, value ->> 20, value ->> 21,
    value ->> 22
FROM json_each(?1)
