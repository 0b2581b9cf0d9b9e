-- $1 to $23: one array a column. /*replay*/ becomes ON CONFLICT (id) DO NOTHING, and only rows really inserted count.
-- Sorted keys: two writers never lock the same rows in opposite order.
WITH inserted AS (
    INSERT INTO pingbacks (
        id, received_at, instance_id, kolibri_version, mode, platform, os, sysversion, python_version,
        database_id, system_id, node_id, language, timezone, uptime, client_time, installer, project, ip,
        country, subdivision, privacy_notice, extra
    )
    SELECT
        id, received_at, instance_id, kolibri_version, mode, platform, os, sysversion, python_version,
        database_id, system_id, node_id, language, timezone, uptime, client_time, installer, project, ip,
        country, subdivision, privacy_notice, extra::jsonb
    FROM unnest(
        $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[],
        $16::timestamptz[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[],
        $23::text[]
    ) AS batch (
        id, received_at, instance_id, kolibri_version, mode, platform, os, sysversion, python_version,
        database_id, system_id, node_id, language, timezone, uptime, client_time, installer, project, ip,
        country, subdivision, privacy_notice, extra
    )
    ORDER BY id
    /*replay*/
    RETURNING
        instance_id, received_at, kolibri_version, mode, platform, os, sysversion, python_version, database_id,
        language, timezone, installer, project, country, subdivision
)
INSERT INTO instances (
    instance_id, first_seen, last_seen, pings, kolibri_version, mode, platform, os, sysversion, python_version,
    database_id, language, timezone, installer, project, country, subdivision
)
SELECT DISTINCT ON (instance_id)
    instance_id, min(received_at) OVER instance, received_at, count(*) OVER instance, kolibri_version, mode,
    platform, os, sysversion, python_version, database_id, language, timezone, installer, project, country,
    subdivision
FROM inserted
WHERE instance_id <> ''
WINDOW instance AS (PARTITION BY instance_id)
ORDER BY
    instance_id, received_at DESC, kolibri_version COLLATE "C" DESC, mode COLLATE "C" DESC,
    platform COLLATE "C" DESC, os COLLATE "C" DESC, sysversion COLLATE "C" DESC,
    python_version COLLATE "C" DESC, database_id COLLATE "C" DESC, language COLLATE "C" DESC,
    timezone COLLATE "C" DESC, installer COLLATE "C" DESC, project COLLATE "C" DESC, country COLLATE "C" DESC,
    subdivision COLLATE "C" DESC
