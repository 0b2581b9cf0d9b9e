-- One row: the last good messages, for a start at which their sources cannot be read.
CREATE TABLE message_snapshot (
    id smallint PRIMARY KEY CHECK (id = 1),
    catalogue json NOT NULL
);
