-- The batches whose pings are not in `instances` yet. Whoever counts a batch deletes its row in the same transaction
-- (docs/decisions/0015-instances-after-the-commit.md). UUIDv7: old ones are those that nobody remembers.
CREATE TABLE uncounted (
    batch uuid PRIMARY KEY,
    -- Of its pings.
    ids uuid[] NOT NULL
);
-- Random bytes: trying to compress them is in vain.
ALTER TABLE uncounted ALTER COLUMN ids SET STORAGE EXTERNAL;
