-- `pings` has the values that change from ping to ping. `profiles` has what an installation reports about itself, with a new row each
-- time that changes. The view `pingbacks` joins both (docs/decisions/0016-pings-and-profiles.md).

-- Ids are lower-case hyphenated UUIDv7, times YYYY-MM-DDTHH:MM:SS.ffffffZ: both sort by time as text. Without rowid, the row holds the
-- only copy of its key; ids rise, so rows are appended.
CREATE TABLE pings (
    id TEXT PRIMARY KEY NOT NULL,
    received_at TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    profile BLOB NOT NULL,
    uptime INTEGER NOT NULL,
    client_time TEXT,
    ip TEXT NOT NULL,
    country TEXT NOT NULL,
    subdivision TEXT NOT NULL,
    extra TEXT NOT NULL CHECK (json_valid(extra))
) STRICT, WITHOUT ROWID;

-- `profile` is a hash of all other columns, keyed where they could be guessed from it.
CREATE TABLE profiles (
    instance_id TEXT NOT NULL,
    profile BLOB NOT NULL,
    kolibri_version TEXT NOT NULL,
    mode TEXT NOT NULL,
    platform TEXT NOT NULL,
    os TEXT NOT NULL,
    sysversion TEXT NOT NULL,
    python_version TEXT NOT NULL,
    database_id TEXT NOT NULL,
    system_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    language TEXT NOT NULL,
    timezone TEXT NOT NULL,
    installer TEXT NOT NULL,
    project TEXT NOT NULL,
    privacy_notice TEXT NOT NULL,
    PRIMARY KEY (instance_id, profile)
) STRICT, WITHOUT ROWID;

-- LEFT JOIN, although every ping has its profile: a query that uses no column of `profiles` then does not read it.
CREATE VIEW pingbacks AS
SELECT pings.id, pings.received_at, pings.instance_id, profiles.kolibri_version, profiles.mode, profiles.platform, profiles.os,
    profiles.sysversion, profiles.python_version, profiles.database_id, profiles.system_id, profiles.node_id, profiles.language,
    profiles.timezone, pings.uptime, pings.client_time, profiles.installer, profiles.project, pings.ip, pings.country,
    pings.subdivision, profiles.privacy_notice, pings.extra
FROM pings LEFT JOIN profiles ON profiles.instance_id = pings.instance_id AND profiles.profile = pings.profile;
