-- `pings` has the values that change from ping to ping. `profiles` has what an installation reports about itself, with a new row each
-- time that changes. The view `pingbacks` joins both (docs/decisions/0016-pings-and-profiles.md).

-- One partition per month, by the UUIDv7 itself: the bounds of a month are two uuids, and the id alone is the key
-- (docs/decisions/0011-partitions-by-id.md). The server creates the partitions. There is no index on a random key, because it would cost
-- as much as the row itself. The columns are in the order that needs the least padding.
CREATE TABLE pings (
    received_at timestamptz NOT NULL,
    uptime bigint NOT NULL,
    client_time timestamptz,
    id uuid NOT NULL,
    profile uuid NOT NULL,
    instance_id text COLLATE "C" NOT NULL,
    ip text NOT NULL,
    country text NOT NULL,
    subdivision text NOT NULL,
    extra jsonb NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX pings_received_at ON pings USING brin (received_at);

-- `profile` is a hash of all other columns, keyed where they could be guessed from it. The collation "C" (byte order) makes comparisons
-- cheap and equal in every database.
CREATE TABLE profiles (
    instance_id text COLLATE "C" NOT NULL,
    profile uuid NOT NULL,
    kolibri_version text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    platform text COLLATE "C" NOT NULL,
    os text COLLATE "C" NOT NULL,
    sysversion text COLLATE "C" NOT NULL,
    python_version text COLLATE "C" NOT NULL,
    database_id text COLLATE "C" NOT NULL,
    system_id text COLLATE "C" NOT NULL,
    node_id text COLLATE "C" NOT NULL,
    language text COLLATE "C" NOT NULL,
    timezone text COLLATE "C" NOT NULL,
    installer text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    privacy_notice text COLLATE "C" NOT NULL,
    PRIMARY KEY (instance_id, profile)
);

-- LEFT JOIN, although every ping has its profile: a query that uses no column of `profiles` then does not read it.
CREATE VIEW pingbacks AS
SELECT pings.id, pings.received_at, pings.instance_id, profiles.kolibri_version, profiles.mode, profiles.platform, profiles.os,
    profiles.sysversion, profiles.python_version, profiles.database_id, profiles.system_id, profiles.node_id, profiles.language,
    profiles.timezone, pings.uptime, pings.client_time, profiles.installer, profiles.project, pings.ip, pings.country,
    pings.subdivision, profiles.privacy_notice, pings.extra
FROM pings LEFT JOIN profiles ON profiles.instance_id = pings.instance_id AND profiles.profile = pings.profile;
