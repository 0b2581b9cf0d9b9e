-- Batches that are not digested yet. A batch commits together with its row here, and the digest deletes that row in its own transaction
-- (docs/decisions/0015-one-outbox.md).
CREATE TABLE outbox (
    -- UUIDv7 of the batch's first row.
    batch uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('pings', 'statistics')),
    -- By the clock of the database.
    written_at timestamptz NOT NULL DEFAULT now(),
    least_id uuid NOT NULL,
    greatest_id uuid NOT NULL,
    ids uuid[] NOT NULL
);
-- Random bytes do not compress, so PostgreSQL must not try.
ALTER TABLE outbox ALTER COLUMN ids SET STORAGE EXTERNAL;

-- A single row, which every server must know before it writes. Only a server that knows the current generation can write a batch.
CREATE TABLE store_state (
    id smallint PRIMARY KEY CHECK (id = 1),
    -- Incremented whenever one of the following columns changes, or when the servers' caches of profiles become invalid.
    generation bigint NOT NULL,
    -- Rows for days before this one are not stored, because retention has deleted those days or begun to. Sealed periods are never
    -- counted again.
    sealed_before date NOT NULL,
    -- The number of the newest migration that a program must know to work with this schema.
    oldest_program bigint NOT NULL
);
INSERT INTO store_state VALUES (1, 1, '0001-01-01', 1);
