-- Tables that the digest derives from pings and reports (docs/decisions/0015-one-outbox.md). Their names and columns may change from
-- version to version: read `instances` and the views of the schema `reporting` instead.

-- Nearly every ping updates a row here. Free space in each page and no index on a changing column keep those updates within their page
-- (HOT).
CREATE TABLE installations (
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    -- The value of `last_seen` before the digest changed it; the digest reads it back.
    previous_seen timestamptz NOT NULL,
    pings bigint NOT NULL,
    -- The profile of the latest ping, and those of its columns that dashboards filter and group by.
    profile uuid NOT NULL,
    ordinary boolean NOT NULL,
    first_ordinary boolean NOT NULL,
    instance_id text COLLATE "C" PRIMARY KEY,
    country text COLLATE "C" NOT NULL,
    subdivision text COLLATE "C" NOT NULL,
    kolibri_version text COLLATE "C" NOT NULL,
    release text COLLATE "C" NOT NULL,
    build text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    os text COLLATE "C" NOT NULL,
    python text COLLATE "C" NOT NULL,
    installer text COLLATE "C" NOT NULL,
    language text COLLATE "C" NOT NULL,
    timezone text COLLATE "C" NOT NULL,
    database_id text COLLATE "C" NOT NULL,
    -- Values of the first ping.
    first_version text COLLATE "C" NOT NULL,
    first_release text COLLATE "C" NOT NULL,
    first_build text COLLATE "C" NOT NULL
) WITH (fillfactor = 85);

CREATE VIEW instances AS
SELECT installations.instance_id, installations.first_seen, installations.last_seen, installations.pings,
    installations.kolibri_version, installations.mode, profiles.platform, installations.os, profiles.sysversion,
    profiles.python_version, installations.database_id, installations.language, installations.timezone,
    installations.installer, profiles.project, installations.country, installations.subdivision
FROM installations LEFT JOIN profiles
    ON profiles.instance_id = installations.instance_id AND profiles.profile = installations.profile;

-- Each ping whose version differs from that of the ping before. The first version of an installation is in `installations`.
CREATE TABLE version_changes (
    instance_id text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    changed_at timestamptz NOT NULL,
    from_version text NOT NULL,
    to_version text NOT NULL,
    from_release text NOT NULL,
    to_release text NOT NULL,
    build text NOT NULL,
    ordinary boolean NOT NULL,
    PRIMARY KEY (instance_id, id)
);

-- Times between two pings of an installation, by the day of the later one.
CREATE TABLE ping_gaps (
    day date NOT NULL,
    ordinary boolean NOT NULL,
    at_least_hours integer NOT NULL,
    gaps bigint NOT NULL,
    PRIMARY KEY (day, ordinary, at_least_hours)
);

-- A facility, with the values of its largest report. Counters are totals since the installation, so the greatest is the newest.
CREATE TABLE facilities (
    facility_id text COLLATE "C" PRIMARY KEY,
    first_reported timestamptz NOT NULL,
    last_reported timestamptz NOT NULL,
    -- The report with the most learners, and the values taken from it.
    largest json NOT NULL,
    ordinary boolean NOT NULL,
    country text NOT NULL,
    preset text NOT NULL,
    learners bigint NOT NULL,
    coaches bigint NOT NULL,
    learner_demographics jsonb NOT NULL,
    coach_demographics jsonb NOT NULL,
    -- The report with the most sessions, and the values taken from it.
    busiest json NOT NULL,
    sessions_by_kind jsonb NOT NULL,
    learner_logins bigint NOT NULL,
    user_sessions bigint NOT NULL,
    anonymous_sessions bigint NOT NULL,
    user_minutes bigint NOT NULL,
    anonymous_minutes bigint NOT NULL
);

-- A channel of an installation, with the values of its latest report.
CREATE TABLE channels (
    channel_id text COLLATE "C" NOT NULL,
    instance_id text COLLATE "C" NOT NULL,
    report uuid NOT NULL,
    position integer NOT NULL,
    last_reported timestamptz NOT NULL,
    ordinary boolean NOT NULL,
    country text NOT NULL,
    storage_mib double precision NOT NULL,
    user_sessions bigint NOT NULL,
    anonymous_sessions bigint NOT NULL,
    user_minutes bigint NOT NULL,
    anonymous_minutes bigint NOT NULL,
    PRIMARY KEY (channel_id, instance_id)
);

-- Days, weeks and months with changed data. A period is due for counting while `changes` differs from `counted`. The other columns
-- determine when it is counted, by the clock of the database.
CREATE TABLE periods (
    grain text NOT NULL CHECK (grain IN ('day', 'week', 'month')),
    begins date NOT NULL,
    changes bigint NOT NULL,
    counted bigint NOT NULL DEFAULT 0,
    -- True if it was counted while it was the latest period, by the last ping of each installation. It is counted once more afterwards.
    provisional boolean NOT NULL DEFAULT false,
    added_at timestamptz NOT NULL DEFAULT now(),
    -- The time of the last attempt, and its duration.
    tried_at timestamptz,
    took interval,
    PRIMARY KEY (grain, begins)
);

-- Each installation that pinged in a period counts once, by its last ping in that period.
CREATE TABLE activity (
    grain text NOT NULL,
    begins date NOT NULL,
    ordinary boolean NOT NULL,
    release text NOT NULL,
    build text NOT NULL,
    os text NOT NULL,
    country text NOT NULL,
    instances bigint NOT NULL,
    new_instances bigint NOT NULL,
    -- Null while the period is the latest one.
    pings bigint,
    PRIMARY KEY (grain, begins, ordinary, release, build, os, country)
);

-- The number of installations first seen in the month `cohort` that pinged in `month`.
CREATE TABLE cohorts (
    month date NOT NULL,
    cohort date NOT NULL,
    ordinary boolean NOT NULL,
    instances bigint NOT NULL,
    PRIMARY KEY (month, cohort, ordinary)
);
