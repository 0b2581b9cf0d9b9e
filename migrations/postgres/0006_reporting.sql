-- What dashboards ask: views in the schema `reporting` (docs/data.md), over rollups that the maintenance loop keeps
-- (docs/decisions/0080-rollups.md). The views are stable; the tables below are not.

-- Which periods are counted, and when that was: one that was counted while it lasted is counted again.
CREATE TABLE rollup_periods (
    grain text NOT NULL CHECK (grain IN ('day', 'week', 'month')),
    begins date NOT NULL,
    counted_at timestamptz NOT NULL,
    PRIMARY KEY (grain, begins)
);

-- Each installation that pinged in a period counts once, by its last ping in it.
CREATE TABLE rollup_activity (
    grain text NOT NULL,
    begins date NOT NULL,
    ordinary boolean NOT NULL,
    release text NOT NULL,
    build text NOT NULL,
    os text NOT NULL,
    country text NOT NULL,
    instances bigint NOT NULL,
    new_instances bigint NOT NULL,
    pings bigint NOT NULL,
    PRIMARY KEY (grain, begins, ordinary, release, build, os, country)
);

-- How many of those first seen in the month `cohort` pinged in `month`.
CREATE TABLE rollup_retention (
    month date NOT NULL,
    cohort date NOT NULL,
    ordinary boolean NOT NULL,
    instances bigint NOT NULL,
    PRIMARY KEY (month, cohort, ordinary)
);

-- How far pings and statistics are read for what follows.
CREATE TABLE rollup_cursors (
    name text PRIMARY KEY,
    id uuid NOT NULL
);
INSERT INTO rollup_cursors VALUES
    ('pingbacks', '00000000-0000-0000-0000-000000000000'),
    ('statistics', '00000000-0000-0000-0000-000000000000');

-- The last ping before the cursor.
CREATE TABLE rollup_installations (
    instance_id text COLLATE "C" PRIMARY KEY,
    seen timestamptz NOT NULL,
    kolibri_version text NOT NULL
) WITH (fillfactor = 70);

-- The first version of an installation (from '') and each change.
CREATE TABLE rollup_versions (
    instance_id text COLLATE "C" NOT NULL,
    changed_at timestamptz NOT NULL,
    from_version text NOT NULL,
    to_version text NOT NULL,
    from_release text NOT NULL,
    to_release text NOT NULL,
    ordinary boolean NOT NULL
);
CREATE INDEX rollup_versions_changed_at ON rollup_versions (changed_at);

-- Times between two pings of an installation, by the day of the later one.
CREATE TABLE rollup_gaps (
    day date NOT NULL,
    ordinary boolean NOT NULL,
    at_least interval NOT NULL,
    gaps bigint NOT NULL,
    PRIMARY KEY (day, ordinary, at_least)
);

-- A facility as its largest report has it; counters are totals since the installation, so the greatest is the newest.
CREATE TABLE rollup_facilities (
    facility_id text COLLATE "C" PRIMARY KEY,
    ordinary boolean NOT NULL,
    country text NOT NULL,
    preset text NOT NULL,
    first_reported timestamptz NOT NULL,
    last_reported timestamptz NOT NULL,
    learners bigint NOT NULL,
    coaches bigint NOT NULL,
    learner_logins bigint NOT NULL,
    user_sessions bigint NOT NULL,
    anonymous_sessions bigint NOT NULL,
    user_minutes bigint NOT NULL,
    anonymous_minutes bigint NOT NULL,
    sessions_by_kind jsonb NOT NULL,
    -- Null where the group is too small to be told.
    learner_demographics jsonb,
    coach_demographics jsonb,
    learner_ages double precision[],
    coach_ages double precision[]
);

-- A channel of an installation as its latest report has it.
CREATE TABLE rollup_channels (
    channel_id text COLLATE "C" NOT NULL,
    instance_id text COLLATE "C" NOT NULL,
    ordinary boolean NOT NULL,
    country text NOT NULL,
    last_reported timestamptz NOT NULL,
    storage_mib double precision NOT NULL,
    user_sessions bigint NOT NULL,
    anonymous_sessions bigint NOT NULL,
    user_minutes bigint NOT NULL,
    anonymous_minutes bigint NOT NULL,
    PRIMARY KEY (channel_id, instance_id)
);

CREATE SCHEMA reporting;

-- The smallest id of a moment: what `id` is compared with so that only the months in question are read.
CREATE FUNCTION reporting.id_from(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- The release line `0.N` (N below 100), else `other`: as the label of the metric nutritionfacts_pingbacks_by_release_total.
CREATE FUNCTION reporting.release_of(version text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(substring(version FROM '^(0\.(?:0|[1-9]\d?))\.(?:0|[1-9]\d*)(?![\d])'), 'other') $$;

-- `release`, `pre-release`, `development` or, where the version cannot be read, `unknown`.
CREATE FUNCTION reporting.build_of(version text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE
    WHEN version !~ '^\d+\.\d+\.\d+' THEN 'unknown'
    WHEN version ~ 'dev' THEN 'development'
    WHEN version ~ '^\d+\.\d+\.\d+-?(a|b|c|rc|alpha|beta)' THEN 'pre-release'
    ELSE 'release'
END $$;

-- Release lines in order: 0.9 before 0.10; `other` before all.
CREATE FUNCTION reporting.release_order(release text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(substring(release FROM '^0\.(\d+)$')::int, -1) $$;

-- The part of a normal distribution below z (Abramowitz and Stegun 26.2.17; off by less than 0.0000001).
CREATE FUNCTION reporting.normal_below(z double precision) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN z < 0 THEN tail ELSE 1 - tail END FROM (
    SELECT exp(-least(z * z, 1400) / 2) * 0.3989422804014327 * k * (0.319381530 + k * (-0.356563782
        + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429)))) AS tail
    FROM (SELECT 1 / (1 + 0.2316419 * abs(z)) AS k) AS _
) AS _ $$;

-- A number within bounds; null for anything else that a device may have sent.
CREATE FUNCTION reporting.number_between(value jsonb, low numeric, high numeric) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN CASE WHEN value::numeric BETWEEN low AND high THEN value::double precision END END $$;

-- Ages in a year as an estimate: birth years as a normal distribution with their mean and deviation, seven bins. Null if nobody says.
CREATE FUNCTION reporting.ages_of(years jsonb, year double precision) RETURNS double precision[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(number * (coalesce(reporting.normal_below((until - mean) / deviation), 1)
        - coalesce(reporting.normal_below((since - mean) / deviation), 0)) ORDER BY bin)
    FROM (
        SELECT year - reporting.number_between(years -> 'a', 1850, 2150) AS mean,
            greatest(reporting.number_between(years -> 'sd', 0, 200), 0.01) AS deviation,
            reporting.number_between(years -> 'ts', 1, 1000000) AS number
    ) AS told
    CROSS JOIN (VALUES (1, NULL, 18), (2, 18, 25), (3, 25, 35), (4, 35, 45), (5, 45, 55), (6, 55, 65), (7, 65, NULL)) AS bins (bin, since, until)
    WHERE mean IS NOT NULL AND years -> 'sd' IS NOT NULL AND number IS NOT NULL
$$;

CREATE VIEW reporting.activity AS
SELECT grain, begins, (begins + ('1 ' || grain)::interval) <= now() AT TIME ZONE 'UTC' AS complete,
    ordinary, release, reporting.release_order(release) AS release_order, build,
    coalesce(nullif(os, ''), 'unknown') AS os, coalesce(nullif(country, ''), 'unknown') AS country,
    instances, new_instances, instances - new_instances AS returning_instances, pings
FROM rollup_activity;

CREATE VIEW reporting.installations AS
SELECT instance_id, first_seen, last_seen, pings, mode = '' AS ordinary, mode, kolibri_version,
    reporting.release_of(kolibri_version) AS release, reporting.build_of(kolibri_version) AS build,
    coalesce(nullif(os, ''), 'unknown') AS os, coalesce(substring(python_version FROM '^\d+\.\d+'), 'unknown') AS python,
    coalesce(nullif(installer, ''), 'unknown') AS installer, coalesce(nullif(language, ''), 'unknown') AS language,
    coalesce(nullif(country, ''), 'unknown') AS country, timezone, database_id
FROM instances;

CREATE VIEW reporting.version_changes AS
SELECT instance_id, changed_at, from_version, to_version, from_release, to_release, reporting.build_of(to_version) AS build, ordinary,
    CASE
        WHEN from_version = '' THEN 'first'
        WHEN from_release = to_release THEN 'same release'
        WHEN reporting.release_order(to_release) > reporting.release_order(from_release) THEN 'upgrade'
        ELSE 'downgrade'
    END AS kind
FROM rollup_versions;

CREATE VIEW reporting.ping_gaps AS
SELECT day, ordinary, at_least, gaps FROM rollup_gaps;

CREATE VIEW reporting.retention AS
SELECT active.cohort, active.month,
    (extract(year FROM active.month) * 12 + extract(month FROM active.month)
        - extract(year FROM active.cohort) * 12 - extract(month FROM active.cohort))::int AS months_later,
    active.ordinary, begun.instances AS cohort_size, active.instances AS active,
    (active.month + interval '1 month') <= now() AT TIME ZONE 'UTC' AS complete
FROM rollup_retention AS active
JOIN rollup_retention AS begun ON begun.cohort = active.cohort AND begun.month = active.cohort AND begun.ordinary = active.ordinary;

-- From the first week in which ten installations had it, to the first in which half of all had it or a later one.
CREATE VIEW reporting.adoption AS
WITH weekly AS (
    SELECT ordinary, begins, release_order, sum(instances) AS instances
    FROM reporting.activity WHERE grain = 'week' AND complete AND build = 'release' GROUP BY 1, 2, 3
), later AS (
    SELECT *, sum(instances) OVER (PARTITION BY ordinary, begins ORDER BY release_order DESC) AS or_later,
        sum(instances) OVER (PARTITION BY ordinary, begins) AS everybody
    FROM weekly
), begun AS (
    SELECT ordinary, release_order, min(begins) AS first_week FROM weekly
    WHERE instances >= 10 AND release_order >= 0 GROUP BY 1, 2
), half AS (
    SELECT begun.ordinary, begun.release_order, min(later.begins) AS half_week
    FROM begun JOIN later USING (ordinary)
    WHERE later.release_order >= begun.release_order AND later.begins >= begun.first_week AND later.or_later * 2 >= later.everybody
    GROUP BY 1, 2
)
SELECT ordinary, '0.' || release_order AS release, release_order, first_week, half_week, half_week - first_week AS days_to_half
FROM begun LEFT JOIN half USING (ordinary, release_order);

-- How many installations share a database. The packages from 0.15.0 to 0.16.1 shipped one with an id in it, the same for all
-- of a version, so these do not tell.
CREATE VIEW reporting.clones AS
SELECT ordinary, copies, count(*) AS databases
FROM (
    SELECT mode = '' AS ordinary, database_id, count(*) AS copies FROM instances
    WHERE database_id <> '' AND kolibri_version !~ '^0\.(15\.|16\.[01](\D|$))' GROUP BY 1, 2
) AS databases
GROUP BY 1, 2;

CREATE VIEW reporting.facilities AS
SELECT ordinary, coalesce(nullif(country, ''), 'unknown') AS country, coalesce(nullif(preset, ''), 'unknown') AS preset, first_reported, last_reported, learners, coaches, learner_logins,
    user_sessions, anonymous_sessions, user_minutes, anonymous_minutes, sessions_by_kind
FROM rollup_facilities;

CREATE VIEW reporting.channels AS
SELECT channel_id, ordinary, coalesce(nullif(country, ''), 'unknown') AS country, last_reported, storage_mib, user_sessions, anonymous_sessions, user_minutes, anonymous_minutes
FROM rollup_channels;

-- Who learns and who coaches, of facilities whose largest report tells; a device tells of no group under 10, nor do we.
CREATE VIEW reporting.genders AS
SELECT ordinary, people, gender, sum(number)::bigint AS number
FROM (
    SELECT ordinary, people, gender, reporting.number_between(demographics -> 'gc' -> gender, 0, 1000000) AS number
    FROM rollup_facilities
    CROSS JOIN LATERAL (VALUES ('learners', learner_demographics), ('coaches', coach_demographics)) AS _ (people, demographics)
    CROSS JOIN unnest('{FEMALE,MALE,NOT_SPECIFIED,DEFERRED}'::text[]) AS genders (gender)
) AS told
GROUP BY 1, 2, 3 HAVING sum(number) >= 10;

CREATE VIEW reporting.ages AS
WITH summed AS (
    SELECT ordinary,
        ARRAY[sum(learner_ages[1]), sum(learner_ages[2]), sum(learner_ages[3]), sum(learner_ages[4]), sum(learner_ages[5]), sum(learner_ages[6]), sum(learner_ages[7])] AS learners,
        ARRAY[sum(coach_ages[1]), sum(coach_ages[2]), sum(coach_ages[3]), sum(coach_ages[4]), sum(coach_ages[5]), sum(coach_ages[6]), sum(coach_ages[7])] AS coaches
    FROM rollup_facilities GROUP BY 1
)
SELECT ordinary, people, age, round(numbers[bin])::bigint AS number
FROM summed
CROSS JOIN LATERAL (VALUES ('learners', learners), ('coaches', coaches)) AS _ (people, numbers)
CROSS JOIN (VALUES (1, '0–17'), (2, '18–24'), (3, '25–34'), (4, '35–44'), (5, '45–54'), (6, '55–64'), (7, '65+')) AS bins (bin, age)
WHERE round(numbers[bin]) >= 10;

-- New installations by network and day, with the middle of the times between them: a roll-out of cloned devices, or a loop.
-- Networks (/24 and /48) also where addresses are kept as seen. With its owner's rights, as it reads pings.
CREATE FUNCTION reporting.new_by_network(since timestamptz, until timestamptz)
RETURNS TABLE (day date, network text, ordinary boolean, new_instances bigint, median_interval interval)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    WITH first AS (
        SELECT instances.instance_id, first_seen, pingbacks.mode = '' AS ordinary,
            CASE WHEN ip ~ '^[0-9a-fA-F.:]+(/\d+)?$' THEN
                network(set_masklen(ip::inet, least(masklen(ip::inet), CASE family(ip::inet) WHEN 4 THEN 24 ELSE 48 END)))::text
            END AS network
        FROM instances
        JOIN pingbacks ON pingbacks.instance_id = instances.instance_id AND pingbacks.received_at = first_seen
        WHERE pingbacks.id >= reporting.id_from(since) AND pingbacks.id < reporting.id_from(until)
            AND first_seen >= since AND first_seen < until
    ), spaced AS (
        SELECT *, (first_seen AT TIME ZONE 'UTC')::date AS day,
            first_seen - lag(first_seen) OVER (PARTITION BY network, (first_seen AT TIME ZONE 'UTC')::date, ordinary ORDER BY first_seen) AS gap
        FROM first WHERE network IS NOT NULL
    )
    SELECT day, network, ordinary, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY gap)
    FROM spaced GROUP BY 1, 2, 3 HAVING count(*) >= 10
$$;
REVOKE ALL ON FUNCTION reporting.new_by_network FROM PUBLIC;
-- A caller's temporary tables come last.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION reporting.new_by_network SET search_path = %I, pg_temp', current_schema());
END $$;

-- Lets the role `nutritionfacts_reporting` read the views. Whoever may make roles has it made here; otherwise an administrator
-- makes it and calls this again.
CREATE FUNCTION reporting.grant_to_readers() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nutritionfacts_reporting') THEN
        -- Roles belong to all databases of the server: another one may be making it just now.
        BEGIN
            CREATE ROLE nutritionfacts_reporting NOLOGIN;
        EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'nutritionfacts_reporting') THEN
        GRANT USAGE ON SCHEMA reporting TO nutritionfacts_reporting;
        GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO nutritionfacts_reporting;
        GRANT EXECUTE ON FUNCTION reporting.new_by_network TO nutritionfacts_reporting;
    END IF;
END $$;
REVOKE ALL ON FUNCTION reporting.grant_to_readers FROM PUBLIC;
SELECT reporting.grant_to_readers();
