, described AS (
    INSERT INTO profiles (
        instance_id, profile, kolibri_version, mode, platform, os, sysversion, python_version, database_id,
        system_id, node_id, language, timezone, installer, project, privacy_notice
    )
    SELECT
        instance_id, profile, kolibri_version, mode, platform, os, sysversion, python_version, database_id,
        system_id, node_id, language, timezone, installer, project, privacy_notice
    FROM unnest(
        $15::text[], $16::uuid[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[],
        $23::text[], $24::text[], $25::text[], $26::text[], $27::text[], $28::text[], $29::text[], $30::text[]
    ) AS batch (
        instance_id, profile, kolibri_version, mode, platform, os, sysversion, python_version, database_id,
        system_id, node_id, language, timezone, installer, project, privacy_notice
    )
    WHERE EXISTS (SELECT FROM present)
    -- Uses only the index: prepared statements keep a plan that was made for an empty table.
    ON CONFLICT (instance_id, profile) DO UPDATE SET system_id = excluded.system_id, node_id = excluded.node_id
    WHERE (profiles.system_id, profiles.node_id) IS DISTINCT FROM (excluded.system_id, excluded.node_id)
)
