-- $1 to $10: pings, one array a column, sorted by id; $11: the batch; $12 to $14: the state that the writer knows (see `State`):
-- if it is no longer so, nothing is written. The profiles of $15 to $30, sorted by their key, are those that may not be there yet;
-- of one that is there, hardware identifiers that were emptied come back. In a replay rows that are there already are left as they
-- are, and only those really inserted go into the outbox.
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
