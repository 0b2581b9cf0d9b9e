CREATE TABLE set_aside (
    id uuid PRIMARY KEY,
    received_at timestamptz NOT NULL,
    kind text NOT NULL,
    instance_id text NOT NULL,
    -- SQLSTATE and constraint name only.
    reason text NOT NULL,
    -- json, not jsonb: the row may be here because jsonb rejected it.
    "row" json NOT NULL
);
