-- One row: the last good messages, for a start at which their sources cannot be read.
CREATE TABLE message_snapshot (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    catalogue TEXT NOT NULL
);
