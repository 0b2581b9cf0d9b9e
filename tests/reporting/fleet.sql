-- A made-up fleet: :installations that ping over the 25 months before now, each :pings times on average, and statistics of a
-- part of them. The same numbers make the same fleet, but for its end, which is now. For psql (-v), and for tests, which put
-- the numbers in. Nothing is derived from them yet: a server that starts on this database does that.

CREATE FUNCTION pg_temp.chance(text) RETURNS double precision LANGUAGE sql IMMUTABLE AS
$$ SELECT (hashtextextended($1, 0) & 1048575) / 1048576.0::double precision $$;
CREATE FUNCTION pg_temp.id_at(timestamptz, text) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(to_hex(floor(extract(epoch FROM $1) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid
    FROM md5($2) AS h $$;

DO $$
DECLARE
    month timestamptz := date_trunc('month', now() AT TIME ZONE 'UTC' - interval '26 months') AT TIME ZONE 'UTC';
    parent text;
    name text;
BEGIN
    SET LOCAL TimeZone = 'UTC';
    WHILE month < now() + interval '4 months' LOOP
        FOREACH parent IN ARRAY ARRAY['pings', 'statistics', 'channel_statistics', 'facility_statistics'] LOOP
            name := parent || '_' || to_char(month, 'YYYY_MM');
            IF to_regclass(name) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent,
                    reporting.id_from(month), reporting.id_from(month + interval '1 month'));
            END IF;
        END LOOP;
        month := month + interval '1 month';
    END LOOP;
END $$;

CREATE TEMP TABLE release_dates AS
SELECT version, now() - days * interval '1 day' AS since FROM (VALUES
    ('0.9.3', 3000), ('0.11.1', 2500), ('0.12.9', 1900), ('0.13.3', 1500), ('0.14.7', 1300), ('0.15.12', 1000), ('0.16.0', 760),
    ('0.16.2', 600), ('0.17.0', 480), ('0.17.5', 330), ('0.18.0', 200), ('0.18.4', 90), ('0.19.0rc1', 50), ('0.19.0', 40)) AS _ (version, days);

CREATE TEMP TABLE fleet AS
SELECT i, instance_id, first_seen, pings, lag, mode, os, python_version, language, installer, country, database_id,
    -- A third is given up some day.
    CASE WHEN pg_temp.chance('given up ' || i) < 0.35 THEN first_seen + (now() - first_seen) * pg_temp.chance('end ' || i) ELSE now() END AS last_seen
FROM (SELECT i, md5('installation ' || i) AS instance_id,
    -- The first forty are rolled out in one place, the day before yesterday.
    CASE WHEN i <= 40 THEN date_trunc('day', now()) - interval '40 hours' + i * i * interval '10 seconds'
        ELSE now() - (760 - 760 * sqrt(pg_temp.chance('first ' || i))) * interval '1 day' END AS first_seen,
    1 + (2 * :pings - 1) * pg_temp.chance('pings ' || i) AS pings,
    -- Some never upgrade, most within months.
    CASE WHEN pg_temp.chance('upgrades ' || i) < 0.25 THEN 2000 ELSE 300 * pg_temp.chance('lag ' || i) END * interval '1 day' AS lag,
    CASE WHEN pg_temp.chance('mode ' || i) < 0.93 THEN '' ELSE (ARRAY['dev', 'demo', 'staff'])[1 + floor(3 * pg_temp.chance('which ' || i))] END AS mode,
    (ARRAY['linux', 'linux', 'linux', 'windows', 'windows', 'android', 'android', 'macos'])[1 + floor(8 * pg_temp.chance('os ' || i))] AS os,
    (ARRAY['2.7.18', '3.6.9', '3.9.2', '3.9.9', '3.10.4', '3.11.2'])[1 + floor(6 * pg_temp.chance('python ' || i))] AS python_version,
    (ARRAY['', 'en', 'en', 'es-419', 'fr-fr', 'sw-tz', 'ar', 'hi-in', 'pt-br'])[1 + floor(9 * pg_temp.chance('language ' || i))] AS language,
    (ARRAY['Debian', 'pex', 'windows', 'apk', 'kolibri-server', ''])[1 + floor(6 * pg_temp.chance('installer ' || i))] AS installer,
    (ARRAY['', '', 'KE', 'IN', 'TZ', 'GT', 'BR', 'NG', 'PH', 'US', 'JO', 'CO'])[1 + floor(12 * pg_temp.chance('country ' || i) ^ 2)] AS country,
    md5('database ' || CASE WHEN pg_temp.chance('clone ' || i) < 0.1 THEN i / 7 ELSE i + 1000000000 END) AS database_id
FROM generate_series(1, :installations) AS i) AS made;

CREATE TEMP TABLE sent AS
SELECT pg_temp.id_at(received_at, i || ' ' || k) AS id, received_at, i, version,
    md5(concat_ws(' ', 'profile', version, mode, os, python_version, language, installer, database_id, i))::uuid AS profile
FROM fleet
-- Days apart, with some shorter and some much longer breaks.
CROSS JOIN LATERAL (
    SELECT k, date_trunc('milliseconds', first_seen + (last_seen - first_seen) * ((k - 1 + CASE k WHEN 1 THEN 0 ELSE pg_temp.chance('when ' || i || ' ' || k) END) / pings)) AS received_at
    FROM generate_series(1, pings::int) AS k
) AS times
CROSS JOIN LATERAL (
    SELECT version FROM release_dates WHERE since <= greatest(received_at - lag, now() - interval '2900 days' + (i % 7) * interval '300 days')
    ORDER BY since DESC LIMIT 1
) AS runs
WHERE received_at < now();

INSERT INTO profiles
SELECT instance_id, profile, version, mode, os || '-made-up', os, '', python_version, database_id, '', md5('node ' || i), language, 'UTC',
    installer, '', ''
FROM (SELECT DISTINCT i, profile, version FROM sent) AS said JOIN fleet USING (i);

-- In the order in which they arrive, as that is where their rows lie.
INSERT INTO pings (id, received_at, instance_id, profile, uptime, client_time, ip, country, subdivision, extra)
SELECT id, received_at, instance_id, profile, 60, received_at,
    CASE WHEN i <= 40 THEN '10.99.99.0/24' ELSE '10.' || i % 90 || '.' || i % 251 || '.0/24' END, country, '', '{}'
FROM sent JOIN fleet USING (i) ORDER BY id;

-- Statistics with one ping in ten.
INSERT INTO statistics
SELECT pg_temp.id_at(received_at + interval '1 second', 'statistics ' || id), received_at + interval '1 second', id, id::text, '{}'
FROM pings WHERE pg_temp.chance('statistics ' || id) < 0.1 AND received_at < now() - interval '1 hour';

INSERT INTO facility_statistics
SELECT statistics.id, 0, substr(md5('facility ' || instance_id), 1, 10), jsonb_build_object('preset', preset), learners, learners * 9, 1 + learners / 15, learners,
    NULL, NULL, 3, 2, 10, 100, 20, 2, 3, '{}', '', 10, 5,
    jsonb_build_object('video', learners * 3 * day, 'exercise', learners * 5 * day, 'html5', day), learners * 8 * day, day, learners * 90 * day, 12 * day,
    CASE WHEN learners < 10 THEN '{}'::jsonb ELSE jsonb_build_object('bys', jsonb_build_object('a', 2008 + learners % 7, 'sd', 2.5, 'ts', learners / 2, 'd', 0, 'ns', learners - learners / 2),
        'gc', jsonb_build_object('FEMALE', learners / 2, 'MALE', learners / 3, 'NOT_SPECIFIED', learners - learners / 2 - learners / 3)) END,
    '{}', learners, learners, 0, '{}'
FROM statistics JOIN pings ON pings.id = pingback_id
CROSS JOIN LATERAL (SELECT floor(120 * pg_temp.chance('learners ' || instance_id) ^ 2 * (0.8 + 0.2 * pg_temp.chance(statistics.id::text)))::bigint AS learners,
    (ARRAY['formal', 'nonformal', 'informal'])[1 + floor(3 * pg_temp.chance('preset ' || instance_id))] AS preset,
    1 + extract(day FROM statistics.received_at - (now() - interval '800 days'))::bigint / 10 AS day) AS _;

INSERT INTO channel_statistics
SELECT statistics.id, k, substr(md5('channel ' || floor(60 * pg_temp.chance('channel ' || k || instance_id) ^ 3)), 1, 10), 7, NULL, '[]', '[]',
    CASE WHEN pg_temp.chance('empty ' || k || instance_id) < 0.1 THEN 0 ELSE 350.5 END, 4, 2, '{"video": 3}', 3 * k, k, 40 * k, 9, '{}', '{}', 3, 4, 0, '{}'
FROM statistics JOIN pings ON pings.id = pingback_id
CROSS JOIN generate_series(0, 2) AS k;

-- As a server would have written them, in batches.
INSERT INTO outbox (batch, kind, least_id, greatest_id, ids)
SELECT (array_agg(id ORDER BY id))[1], kind, (array_agg(id ORDER BY id))[1], (array_agg(id ORDER BY id DESC))[1], array_agg(id ORDER BY id)
FROM (
    SELECT id, 'pings' AS kind, (row_number() OVER (ORDER BY id)) / 500 AS batch FROM pings
    UNION ALL SELECT id, 'statistics', (row_number() OVER (ORDER BY id)) / 500 FROM statistics
) AS rows
GROUP BY kind, batch;
