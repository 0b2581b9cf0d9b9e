-- $1 to $23: one array a column; $24: the batch. In a replay rows that are there already are left as they are, and only
-- those really inserted are still to be counted in `instances`.
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
)
INSERT INTO uncounted (batch, ids)
/*uncounted*/
