-- Changes of version, $1 to $9, one array a column.
INSERT INTO version_changes (
    instance_id, id, changed_at, from_version, to_version, from_release, to_release, build, ordinary
)
SELECT instance_id, id, changed_at, from_version, to_version, from_release, to_release, build, ordinary
FROM unnest(
    $1::text[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[]
) AS change (instance_id, id, changed_at, from_version, to_version, from_release, to_release, build, ordinary)
