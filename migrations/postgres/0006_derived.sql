-- What is derived from pings and reports by the digest (docs/decisions/0015-one-outbox.md). Names and columns may change from
-- version to version: readers use `instances` and the views of the schema `reporting`.

-- Nearly every ping updates its row here. With room in each page and no index on a column that changes, those updates stay in
-- their page (HOT).
CREATE TABLE installations (
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    -- What `last_seen` was before the digest set it, for the digest to know.
    previous_seen timestamptz NOT NULL,
    pings bigint NOT NULL,
    -- What the latest ping said, and the columns of it that dashboards filter and group by.
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
    -- With the first ping.
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

-- Each ping whose version differs from that of the ping before; the first version of an installation is in its row.
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

-- A facility as its largest report has it; counters are totals since the installation, so the greatest is the newest.
CREATE TABLE facilities (
    facility_id text COLLATE "C" PRIMARY KEY,
    first_reported timestamptz NOT NULL,
    last_reported timestamptz NOT NULL,
    -- The report with the most learners, and what is taken from it.
    largest json NOT NULL,
    ordinary boolean NOT NULL,
    country text NOT NULL,
    preset text NOT NULL,
    learners bigint NOT NULL,
    coaches bigint NOT NULL,
    learner_demographics jsonb NOT NULL,
    coach_demographics jsonb NOT NULL,
    -- The report with the most sessions, and what is taken from it.
    busiest json NOT NULL,
    sessions_by_kind jsonb NOT NULL,
    learner_logins bigint NOT NULL,
    user_sessions bigint NOT NULL,
    anonymous_sessions bigint NOT NULL,
    user_minutes bigint NOT NULL,
    anonymous_minutes bigint NOT NULL
);

-- A channel of an installation as its latest report has it.
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

-- Days, weeks and months in which something has changed. A period is counted while `changes` differs from `counted`; when,
-- say the other columns, by the clock of the database.
CREATE TABLE periods (
    grain text NOT NULL CHECK (grain IN ('day', 'week', 'month')),
    begins date NOT NULL,
    changes bigint NOT NULL,
    counted bigint NOT NULL DEFAULT 0,
    -- Counted while it was the last one, by the last ping of each installation: once more when it no longer is.
    provisional boolean NOT NULL DEFAULT false,
    added_at timestamptz NOT NULL DEFAULT now(),
    -- The last attempt, and what it took.
    tried_at timestamptz,
    took interval,
    PRIMARY KEY (grain, begins)
);

-- Each installation that pinged in a period counts once, by its last ping in it.
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
    -- Null while the period is the last one.
    pings bigint,
    PRIMARY KEY (grain, begins, ordinary, release, build, os, country)
);

-- How many of those first seen in the month `cohort` pinged in `month`.
CREATE TABLE cohorts (
    month date NOT NULL,
    cohort date NOT NULL,
    ordinary boolean NOT NULL,
    instances bigint NOT NULL,
    PRIMARY KEY (month, cohort, ordinary)
);
