-- ?1: one JSON list for each instance: id, first_seen, last_seen, pings, [the descriptive columns].
INSERT INTO instances (
    instance_id, first_seen, last_seen, pings, kolibri_version, mode, platform, os, sysversion, python_version,
    database_id, language, timezone, installer, project, country, subdivision
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3,
    value ->> '$[4][0]', value ->> '$[4][1]', value ->> '$[4][2]', value ->> '$[4][3]', value ->> '$[4][4]',
    value ->> '$[4][5]', value ->> '$[4][6]', value ->> '$[4][7]', value ->> '$[4][8]', value ->> '$[4][9]',
    value ->> '$[4][10]', value ->> '$[4][11]', value ->> '$[4][12]'
FROM json_each(?1)
WHERE true
