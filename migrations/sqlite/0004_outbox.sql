-- Batches that nothing was derived from yet. A batch commits with its row here; whoever digests it deletes the row in the same
-- transaction (docs/decisions/0015-one-outbox.md). AUTOINCREMENT: no number comes twice, also when all rows are gone.
CREATE TABLE outbox (
    batch INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('pings', 'statistics')),
    written_at TEXT NOT NULL,
    least_id TEXT NOT NULL,
    greatest_id TEXT NOT NULL,
    -- 16 bytes each.
    ids BLOB NOT NULL
) STRICT;

-- One row: what a server must know before it writes. A batch is written only by a server that knows the present generation.
CREATE TABLE store_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Changes whenever one of the following does, or what servers remember of profiles is no longer right.
    generation INTEGER NOT NULL,
    -- What arrives for days before this one is not stored: a retention has deleted them or begun to. Sealed periods are never
    -- counted again.
    sealed_before TEXT NOT NULL,
    -- The number of the last migration that a program must know to work with this schema.
    oldest_program INTEGER NOT NULL
) STRICT;
INSERT INTO store_state VALUES (1, 1, '0001-01-01', 1);
