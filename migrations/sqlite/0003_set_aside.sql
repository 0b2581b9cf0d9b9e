CREATE TABLE set_aside (
    id TEXT PRIMARY KEY NOT NULL,
    received_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    -- The kind of constraint only.
    reason TEXT NOT NULL,
    "row" TEXT NOT NULL
) STRICT, WITHOUT ROWID;
