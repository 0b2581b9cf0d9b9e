-- A single row with the last good messages. A server uses it if it cannot read their sources at start.
CREATE TABLE message_snapshot (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    catalogue TEXT NOT NULL
);
