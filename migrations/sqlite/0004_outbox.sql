-- Batches that are not digested yet. A batch commits together with its row here, and the digest deletes that row in its own transaction
-- (docs/decisions/0015-one-outbox.md). AUTOINCREMENT: a number is never reused, even after all rows are deleted.
CREATE TABLE outbox (
    batch INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('pings', 'statistics')),
    written_at TEXT NOT NULL,
    least_id TEXT NOT NULL,
    greatest_id TEXT NOT NULL,
    -- 16 bytes each.
    ids BLOB NOT NULL
) STRICT;

-- A single row, which a server must know before it writes. Only a server that knows the current generation can write a batch.
CREATE TABLE store_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Incremented whenever one of the following columns changes, or when the servers' caches of profiles become invalid.
    generation INTEGER NOT NULL,
    -- Rows for days before this one are not stored, because retention has deleted those days or begun to. Sealed periods are never
    -- counted again.
    sealed_before TEXT NOT NULL,
    -- The number of the newest migration that a program must know to work with this schema.
    oldest_program INTEGER NOT NULL
) STRICT;
INSERT INTO store_state VALUES (1, 1, '0001-01-01', 1);
