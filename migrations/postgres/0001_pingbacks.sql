-- One partition a month, by the UUIDv7 itself: the bounds of a month are two uuids, and the id alone is the key
-- (docs/decisions/0011-partitions-by-id.md). The server makes the months.
CREATE TABLE pingbacks (
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    instance_id text COLLATE "C" NOT NULL,
    kolibri_version text NOT NULL,
    mode text NOT NULL,
    platform text NOT NULL,
    os text NOT NULL,
    sysversion text NOT NULL,
    python_version text NOT NULL,
    database_id text NOT NULL,
    system_id text NOT NULL,
    node_id text NOT NULL,
    language text NOT NULL,
    timezone text NOT NULL,
    uptime bigint NOT NULL,
    client_time timestamptz,
    installer text NOT NULL,
    project text NOT NULL,
    ip text NOT NULL,
    country text NOT NULL,
    subdivision text NOT NULL,
    privacy_notice text NOT NULL,
    extra jsonb NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX pingbacks_received_at ON pingbacks USING brin (received_at);
CREATE INDEX pingbacks_instance ON pingbacks (instance_id);

-- Every ping updates its row here. With room in each page and no index on a column that changes, all those updates
-- stay in their page (HOT). Byte order ("C") makes "the later of two" the same in every database.
CREATE TABLE instances (
    instance_id text COLLATE "C" PRIMARY KEY,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    pings bigint NOT NULL,
    kolibri_version text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    platform text COLLATE "C" NOT NULL,
    os text COLLATE "C" NOT NULL,
    sysversion text COLLATE "C" NOT NULL,
    python_version text COLLATE "C" NOT NULL,
    database_id text COLLATE "C" NOT NULL,
    language text COLLATE "C" NOT NULL,
    timezone text COLLATE "C" NOT NULL,
    installer text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    subdivision text COLLATE "C" NOT NULL
) WITH (fillfactor = 85);
