-- Tables that the digest derives from pings and reports (docs/decisions/0015-one-outbox.md), as in PostgreSQL. Their names and columns
-- may change from version to version: use `instances` and `nutritionfacts report` instead.
CREATE TABLE installations (
    instance_id TEXT PRIMARY KEY NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    -- The value of `last_seen` before the digest changed it; the digest reads it back.
    previous_seen TEXT NOT NULL,
    pings INTEGER NOT NULL,
    -- The profile of the latest ping.
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
    -- Values of the first ping.
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
    -- The report with the most learners, and the values taken from it.
    largest TEXT NOT NULL,
    ordinary INTEGER NOT NULL,
    country TEXT NOT NULL,
    preset TEXT NOT NULL,
    learners INTEGER NOT NULL,
    coaches INTEGER NOT NULL,
    learner_demographics TEXT NOT NULL,
    coach_demographics TEXT NOT NULL,
    -- The report with the most sessions, and the values taken from it.
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

-- Days, weeks and months with changed data. A period is due for counting while `changes` differs from `counted`.
CREATE TABLE periods (
    grain TEXT NOT NULL CHECK (grain IN ('day', 'week', 'month')),
    begins TEXT NOT NULL,
    changes INTEGER NOT NULL,
    counted INTEGER NOT NULL DEFAULT 0,
    -- True if it was counted while it was the latest period, by the last ping of each installation. It is counted once more afterwards.
    provisional INTEGER NOT NULL DEFAULT 0,
    -- The time of the last attempt in seconds since 1970, and its duration in seconds.
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
    -- Null while the period is the latest one.
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
