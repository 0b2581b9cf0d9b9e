-- What is derived from pings and reports by the digest (docs/decisions/0015-one-outbox.md), as in PostgreSQL. Names and columns may
-- change from version to version: readers use `instances` and `nutritionfacts report`.
CREATE TABLE installations (
    instance_id TEXT PRIMARY KEY NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    -- What `last_seen` was before the digest set it, for the digest to know.
    previous_seen TEXT NOT NULL,
    pings INTEGER NOT NULL,
    -- What the latest ping said.
    profile BLOB NOT NULL,
    ordinary INTEGER NOT NULL,
    first_ordinary INTEGER NOT NULL,
    country TEXT NOT NULL,
    subdivision TEXT NOT NULL,
    kolibri_version TEXT NOT NULL,
    release TEXT NOT NULL,
    build TEXT NOT NULL,
    mode TEXT NOT NULL,
    os TEXT NOT NULL,
    python TEXT NOT NULL,
    installer TEXT NOT NULL,
    language TEXT NOT NULL,
    timezone TEXT NOT NULL,
    database_id TEXT NOT NULL,
    -- With the first ping.
    first_version TEXT NOT NULL,
    first_release TEXT NOT NULL,
    first_build TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW instances AS
SELECT installations.instance_id, installations.first_seen, installations.last_seen, installations.pings,
    installations.kolibri_version, installations.mode, profiles.platform, installations.os, profiles.sysversion,
    profiles.python_version, installations.database_id, installations.language, installations.timezone,
    installations.installer, profiles.project, installations.country, installations.subdivision
FROM installations LEFT JOIN profiles
    ON profiles.instance_id = installations.instance_id AND profiles.profile = installations.profile;

CREATE TABLE version_changes (
    instance_id TEXT NOT NULL,
    id TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    from_release TEXT NOT NULL,
    to_release TEXT NOT NULL,
    build TEXT NOT NULL,
    ordinary INTEGER NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE ping_gaps (
    day TEXT NOT NULL,
    ordinary INTEGER NOT NULL,
    at_least_hours INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    PRIMARY KEY (day, ordinary, at_least_hours)
) STRICT, WITHOUT ROWID;

CREATE TABLE facilities (
    facility_id TEXT PRIMARY KEY NOT NULL,
    first_reported TEXT NOT NULL,
    last_reported TEXT NOT NULL,
    -- The report with the most learners, and what is taken from it.
    largest TEXT NOT NULL,
    ordinary INTEGER NOT NULL,
    country TEXT NOT NULL,
    preset TEXT NOT NULL,
    learners INTEGER NOT NULL,
    coaches INTEGER NOT NULL,
    learner_demographics TEXT NOT NULL,
    coach_demographics TEXT NOT NULL,
    -- The report with the most sessions, and what is taken from it.
    busiest TEXT NOT NULL,
    sessions_by_kind TEXT NOT NULL,
    learner_logins INTEGER NOT NULL,
    user_sessions INTEGER NOT NULL,
    anonymous_sessions INTEGER NOT NULL,
    user_minutes INTEGER NOT NULL,
    anonymous_minutes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE channels (
    channel_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    report TEXT NOT NULL,
    position INTEGER NOT NULL,
    last_reported TEXT NOT NULL,
    ordinary INTEGER NOT NULL,
    country TEXT NOT NULL,
    storage_mib REAL NOT NULL,
    user_sessions INTEGER NOT NULL,
    anonymous_sessions INTEGER NOT NULL,
    user_minutes INTEGER NOT NULL,
    anonymous_minutes INTEGER NOT NULL,
    PRIMARY KEY (channel_id, instance_id)
) STRICT, WITHOUT ROWID;

-- Days, weeks and months in which something has changed. A period is counted while `changes` differs from `counted`.
CREATE TABLE periods (
    grain TEXT NOT NULL CHECK (grain IN ('day', 'week', 'month')),
    begins TEXT NOT NULL,
    changes INTEGER NOT NULL,
    counted INTEGER NOT NULL DEFAULT 0,
    -- Counted while it was the last one, by the last ping of each installation: once more when it no longer is.
    provisional INTEGER NOT NULL DEFAULT 0,
    -- The last attempt in seconds since 1970, and the seconds that it took.
    tried_at REAL,
    took REAL,
    PRIMARY KEY (grain, begins)
) STRICT, WITHOUT ROWID;

CREATE TABLE activity (
    grain TEXT NOT NULL,
    begins TEXT NOT NULL,
    ordinary INTEGER NOT NULL,
    release TEXT NOT NULL,
    build TEXT NOT NULL,
    os TEXT NOT NULL,
    country TEXT NOT NULL,
    instances INTEGER NOT NULL,
    new_instances INTEGER NOT NULL,
    -- Null while the period is the last one.
    pings INTEGER,
    PRIMARY KEY (grain, begins, ordinary, release, build, os, country)
) STRICT, WITHOUT ROWID;

CREATE TABLE cohorts (
    month TEXT NOT NULL,
    cohort TEXT NOT NULL,
    ordinary INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    PRIMARY KEY (month, cohort, ordinary)
) STRICT, WITHOUT ROWID;
