-- The batches whose pings are not in `instances` yet. Whoever counts a batch deletes its row in the same transaction
-- (docs/decisions/0015-instances-after-the-commit.md). AUTOINCREMENT: no number comes twice, also when all rows are gone.
CREATE TABLE uncounted (
    batch INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of its pings, 16 bytes each.
    ids BLOB NOT NULL
) STRICT;

-- One row: how far the last stroke came. Of the batches up to `upto` (if they are still there) the installations up to
-- `done` are counted.
CREATE TABLE counting (
    upto INTEGER NOT NULL,
    done TEXT NOT NULL
) STRICT;
INSERT INTO counting VALUES (0, '');
