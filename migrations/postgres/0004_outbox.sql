-- Batches that nothing was derived from yet. A batch commits with its row here; whoever digests it deletes the row in the same
-- transaction (docs/decisions/0015-one-outbox.md).
CREATE TABLE outbox (
    -- UUIDv7 of its first row.
    batch uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('pings', 'statistics')),
    -- By the clock of the database.
    written_at timestamptz NOT NULL DEFAULT now(),
    least_id uuid NOT NULL,
    greatest_id uuid NOT NULL,
    ids uuid[] NOT NULL
);
-- Random bytes: trying to compress them is in vain.
ALTER TABLE outbox ALTER COLUMN ids SET STORAGE EXTERNAL;

-- One row: what every server must know before it writes. A batch is written only by a server that knows the present generation.
CREATE TABLE store_state (
    id smallint PRIMARY KEY CHECK (id = 1),
    -- Changes whenever one of the following does, or what servers remember of profiles is no longer right.
    generation bigint NOT NULL,
    -- What arrives for days before this one is not stored: a retention has deleted them or begun to. Sealed periods are never
    -- counted again.
    sealed_before date NOT NULL,
    -- The number of the last migration that a program must know to work with this schema.
    oldest_program bigint NOT NULL
);
INSERT INTO store_state VALUES (1, 1, '0001-01-01', 1);
