CREATE TABLE set_aside (
    id uuid PRIMARY KEY,
    received_at timestamptz NOT NULL,
    kind text NOT NULL,
    instance_id text NOT NULL,
    -- SQLSTATE and constraint name only.
    reason text NOT NULL,
    -- json, not jsonb: a row may be here just because jsonb refuses it.
    "row" json NOT NULL
);
