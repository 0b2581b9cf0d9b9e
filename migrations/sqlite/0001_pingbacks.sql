-- Ids are lower-case hyphenated UUIDv7, times YYYY-MM-DDTHH:MM:SS.ffffffZ: both sort by time as text.
CREATE TABLE pingbacks (
    id TEXT PRIMARY KEY NOT NULL,
    received_at TEXT NOT NULL,
    instance_id TEXT NOT NULL,
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
    uptime INTEGER NOT NULL,
    client_time TEXT,
    installer TEXT NOT NULL,
    project TEXT NOT NULL,
    ip TEXT NOT NULL,
    country TEXT NOT NULL,
    subdivision TEXT NOT NULL,
    privacy_notice TEXT NOT NULL,
    extra TEXT NOT NULL CHECK (json_valid(extra))
) STRICT;
-- No index on instance_id, as PostgreSQL has: here it would be one more page written for each ping, and a small fleet's
-- pings are searched through in no time.

CREATE TABLE instances (
    instance_id TEXT PRIMARY KEY NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    pings INTEGER NOT NULL,
    kolibri_version TEXT NOT NULL,
    mode TEXT NOT NULL,
    platform TEXT NOT NULL,
    os TEXT NOT NULL,
    sysversion TEXT NOT NULL,
    python_version TEXT NOT NULL,
    database_id TEXT NOT NULL,
    language TEXT NOT NULL,
    timezone TEXT NOT NULL,
    installer TEXT NOT NULL,
    project TEXT NOT NULL,
    country TEXT NOT NULL,
    subdivision TEXT NOT NULL
) STRICT, WITHOUT ROWID;
