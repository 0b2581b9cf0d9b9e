-- $1 to $10: pings, one array per column, sorted by id; $11: the batch; $12 to $14: the state known to the writer (see `State`):
-- if it has changed, nothing is written. The profiles in $15 to $30, sorted by key, may not be stored yet; if one is stored,
-- identifiers that were erased from it are restored. In a replay, existing rows are left as they
-- are, and only rows that were really inserted go into the outbox.
WITH present AS (
    SELECT 1 FROM store_state WHERE generation = $12 AND tableoid::bigint = $13 AND pg_postmaster_start_time() = $14
)/*profiles*/, inserted AS (
    INSERT INTO pings (
        id, received_at, instance_id, profile, uptime, client_time, ip, country, subdivision, extra
    )
    SELECT id, received_at, instance_id, profile, uptime, client_time, ip, country, subdivision, extra::jsonb
    FROM unnest(
        $1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::bigint[], $6::timestamptz[], $7::text[], $8::text[],
        $9::text[], $10::text[]
    ) AS batch (id, received_at, instance_id, profile, uptime, client_time, ip, country, subdivision, extra)
    WHERE EXISTS (SELECT FROM present)
    /*replay*/
), noted AS (
    INSERT INTO outbox (batch, kind, least_id, greatest_id, ids)
    /*noted*/
)
SELECT EXISTS (SELECT FROM present)
