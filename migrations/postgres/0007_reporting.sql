-- The views that dashboards query, in the schema `reporting` (docs/data.md). They stay the same from version to version.
CREATE SCHEMA reporting;

-- The smallest id of a point in time. Comparing `id` with it makes PostgreSQL read only the months in question.
CREATE FUNCTION reporting.id_from(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- Sorts release lines: 0.9 before 0.10, and `other` before all.
CREATE FUNCTION reporting.release_order(release text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(substring(release FROM '^0\.([0-9]+)$')::int, -1) $$;

CREATE VIEW reporting.activity AS
SELECT grain, begins, (begins + ('1 ' || grain)::interval) <= now() AT TIME ZONE 'UTC' AS complete,
    ordinary, release, reporting.release_order(release) AS release_order, build,
    coalesce(nullif(os, ''), 'unknown') AS os, coalesce(nullif(country, ''), 'unknown') AS country,
    instances, new_instances, instances - new_instances AS returning_instances, pings
FROM activity;

CREATE VIEW reporting.installations AS
SELECT instance_id, first_seen, last_seen, pings, ordinary, mode, kolibri_version, release, build,
    coalesce(nullif(os, ''), 'unknown') AS os, coalesce(nullif(python, ''), 'unknown') AS python,
    coalesce(nullif(installer, ''), 'unknown') AS installer, coalesce(nullif(language, ''), 'unknown') AS language,
    coalesce(nullif(country, ''), 'unknown') AS country, timezone, database_id
FROM installations;

CREATE VIEW reporting.version_changes AS
SELECT instance_id, first_seen AS changed_at, '' AS from_version, first_version AS to_version, 'other' AS from_release,
    first_release AS to_release, first_build AS build, first_ordinary AS ordinary, 'first' AS kind
FROM installations
UNION ALL
SELECT instance_id, changed_at, from_version, to_version, from_release, to_release, build, ordinary,
    CASE
        WHEN from_release = to_release THEN 'same release'
        WHEN reporting.release_order(to_release) > reporting.release_order(from_release) THEN 'upgrade'
        ELSE 'downgrade'
    END AS kind
FROM version_changes;

CREATE VIEW reporting.ping_gaps AS
SELECT day, ordinary, make_interval(days => at_least_hours / 24, hours => at_least_hours % 24) AS at_least, gaps FROM ping_gaps;

CREATE VIEW reporting.retention AS
SELECT active.cohort, active.month,
    (extract(year FROM active.month) * 12 + extract(month FROM active.month)
        - extract(year FROM active.cohort) * 12 - extract(month FROM active.cohort))::int AS months_later,
    active.ordinary, begun.instances AS cohort_size, active.instances AS active,
    (active.month + interval '1 month') <= now() AT TIME ZONE 'UTC' AS complete
FROM cohorts AS active
JOIN cohorts AS begun ON begun.cohort = active.cohort AND begun.month = active.cohort AND begun.ordinary = active.ordinary;

-- From the first week in which ten installations ran a release line, to the first in which half of all ran it or a later one.
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

-- The number of installations that share a database. The packages from 0.15.0 to 0.16.1 shipped a database that already had an id, the
-- same for all installations of a version, so those versions are left out.
CREATE VIEW reporting.clones AS
SELECT ordinary, copies, count(*) AS databases
FROM (
    SELECT ordinary, database_id, count(*) AS copies FROM installations
    WHERE database_id <> '' AND kolibri_version !~ '^0\.(15\.|16\.[01]([^0-9]|$))' GROUP BY 1, 2
) AS databases
GROUP BY 1, 2;

CREATE VIEW reporting.facilities AS
SELECT ordinary, coalesce(nullif(country, ''), 'unknown') AS country, coalesce(nullif(preset, ''), 'unknown') AS preset,
    first_reported, last_reported, learners, coaches, learner_logins, user_sessions, anonymous_sessions, user_minutes,
    anonymous_minutes, sessions_by_kind
FROM facilities;

CREATE VIEW reporting.channels AS
SELECT channel_id, ordinary, coalesce(nullif(country, ''), 'unknown') AS country, last_reported, storage_mib, user_sessions,
    anonymous_sessions, user_minutes, anonymous_minutes
FROM channels;

-- Learners and coaches by gender, of facilities whose largest report has these figures. Devices leave out groups under 10, and so do
-- these views. All facilities are read in one pass.
CREATE VIEW reporting.genders AS
SELECT ordinary, people, gender, number
FROM (
    SELECT ordinary,
        sum((learner_demographics -> 'genders' ->> 0)::bigint)::bigint AS l0,
        sum((learner_demographics -> 'genders' ->> 1)::bigint)::bigint AS l1,
        sum((learner_demographics -> 'genders' ->> 2)::bigint)::bigint AS l2,
        sum((learner_demographics -> 'genders' ->> 3)::bigint)::bigint AS l3,
        sum((coach_demographics -> 'genders' ->> 0)::bigint)::bigint AS c0,
        sum((coach_demographics -> 'genders' ->> 1)::bigint)::bigint AS c1,
        sum((coach_demographics -> 'genders' ->> 2)::bigint)::bigint AS c2,
        sum((coach_demographics -> 'genders' ->> 3)::bigint)::bigint AS c3
    FROM facilities GROUP BY 1
) AS told
CROSS JOIN LATERAL (
    VALUES
        ('learners', 'FEMALE', l0), ('learners', 'MALE', l1), ('learners', 'NOT_SPECIFIED', l2), ('learners', 'DEFERRED', l3),
        ('coaches', 'FEMALE', c0), ('coaches', 'MALE', c1), ('coaches', 'NOT_SPECIFIED', c2), ('coaches', 'DEFERRED', c3)
) AS groups (people, gender, number)
WHERE number >= 10;

CREATE VIEW reporting.ages AS
SELECT ordinary, people, age, number
FROM (
    SELECT ordinary,
        round(sum((learner_demographics -> 'ages' ->> 0)::double precision))::bigint AS l0,
        round(sum((learner_demographics -> 'ages' ->> 1)::double precision))::bigint AS l1,
        round(sum((learner_demographics -> 'ages' ->> 2)::double precision))::bigint AS l2,
        round(sum((learner_demographics -> 'ages' ->> 3)::double precision))::bigint AS l3,
        round(sum((learner_demographics -> 'ages' ->> 4)::double precision))::bigint AS l4,
        round(sum((learner_demographics -> 'ages' ->> 5)::double precision))::bigint AS l5,
        round(sum((learner_demographics -> 'ages' ->> 6)::double precision))::bigint AS l6,
        round(sum((coach_demographics -> 'ages' ->> 0)::double precision))::bigint AS c0,
        round(sum((coach_demographics -> 'ages' ->> 1)::double precision))::bigint AS c1,
        round(sum((coach_demographics -> 'ages' ->> 2)::double precision))::bigint AS c2,
        round(sum((coach_demographics -> 'ages' ->> 3)::double precision))::bigint AS c3,
        round(sum((coach_demographics -> 'ages' ->> 4)::double precision))::bigint AS c4,
        round(sum((coach_demographics -> 'ages' ->> 5)::double precision))::bigint AS c5,
        round(sum((coach_demographics -> 'ages' ->> 6)::double precision))::bigint AS c6
    FROM facilities GROUP BY 1
) AS told
CROSS JOIN LATERAL (
    VALUES
        ('learners', '0–17', l0), ('learners', '18–24', l1), ('learners', '25–34', l2), ('learners', '35–44', l3),
        ('learners', '45–54', l4), ('learners', '55–64', l5), ('learners', '65+', l6), ('coaches', '0–17', c0),
        ('coaches', '18–24', c1), ('coaches', '25–34', c2), ('coaches', '35–44', c3), ('coaches', '45–54', c4),
        ('coaches', '55–64', c5), ('coaches', '65+', c6)
) AS groups (people, age, number)
WHERE number >= 10;

-- New installations by network and day, with the median of the times between them. It reveals a rollout of cloned devices, or a loop. It
-- returns networks (/24 and /48) even if whole addresses are stored. It runs with its owner's rights, because it reads pings.
CREATE FUNCTION reporting.new_by_network(since timestamptz, until timestamptz)
RETURNS TABLE (day date, network text, ordinary boolean, new_instances bigint, median_interval interval)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH first AS (
        SELECT first_seen, first_ordinary AS ordinary,
            CASE WHEN ip ~ '^[0-9a-fA-F.:]+(/[0-9]+)?$' THEN
                network(set_masklen(ip::inet, least(masklen(ip::inet), CASE family(ip::inet) WHEN 4 THEN 24 ELSE 48 END)))::text
            END AS network
        FROM installations
        JOIN pings ON pings.instance_id = installations.instance_id AND pings.received_at = first_seen
        WHERE pings.id >= reporting.id_from(since) AND pings.id < reporting.id_from(until)
            AND first_seen >= since AND first_seen < until
    ), spaced AS (
        SELECT *, (first_seen AT TIME ZONE 'UTC')::date AS day,
            first_seen - lag(first_seen) OVER (PARTITION BY network, (first_seen AT TIME ZONE 'UTC')::date, ordinary ORDER BY first_seen) AS gap
        FROM first WHERE network IS NOT NULL
    )
    SELECT day, network, ordinary, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY gap)
    FROM spaced GROUP BY 1, 2, 3 HAVING count(*) >= 10;
END $$;
REVOKE ALL ON FUNCTION reporting.new_by_network FROM PUBLIC;
-- `pg_temp` is last, so that a caller's temporary tables cannot shadow the real ones.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION reporting.new_by_network SET search_path = %I, pg_temp', current_schema());
END $$;

-- Lets the role `nutritionfacts_reporting` read the views. If the caller may create roles, this function creates the role. Otherwise an
-- administrator creates it and calls this again.
CREATE FUNCTION reporting.grant_to_readers() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nutritionfacts_reporting') THEN
        -- Roles are shared by all databases of the server: another one may be creating this role at the same time.
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
