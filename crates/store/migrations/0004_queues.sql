-- The numbers of queues and messages are never used again: receipt handles name messages by them, and
-- what a deleted queue left is told by its number.
CREATE TABLE queues (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    arn         TEXT NOT NULL,
    is_fifo     INTEGER NOT NULL,
    attributes  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;

-- `receives` counts since the message came to this queue, `earlier_receives` in the queue before.
CREATE TABLE queue_messages (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id          INTEGER NOT NULL,
    fifo_group        TEXT,
    sent_at           INTEGER NOT NULL,
    visible_at        INTEGER NOT NULL,
    receives          INTEGER NOT NULL,
    earlier_receives  INTEGER NOT NULL,
    received_at       INTEGER,
    first_received_at INTEGER
) STRICT;
CREATE INDEX queue_messages_by_visibility
    ON queue_messages (queue_id, visible_at, id, receives);
CREATE INDEX queue_messages_by_age ON queue_messages (queue_id, sent_at);
CREATE INDEX queue_messages_by_group
    ON queue_messages (queue_id, fifo_group, id) WHERE fifo_group IS NOT NULL;

-- Apart from the rows that every receive rewrites.
CREATE TABLE queue_contents (
    message    INTEGER PRIMARY KEY REFERENCES queue_messages (id) ON DELETE CASCADE,
    message_id TEXT NOT NULL,
    body       TEXT NOT NULL,
    details    TEXT NOT NULL
) STRICT;

-- The groups of FIFO queues that hold messages. Nothing of a group can be received before `free_at`:
-- then its first message is visible, and none is in flight.
CREATE TABLE queue_groups (
    queue_id INTEGER NOT NULL,
    name     TEXT NOT NULL,
    head     INTEGER NOT NULL,
    free_at  INTEGER NOT NULL,
    PRIMARY KEY (queue_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_groups_by_time ON queue_groups (queue_id, free_at, head);

CREATE TABLE queue_deduplications (
    id         INTEGER PRIMARY KEY,
    queue_id   INTEGER NOT NULL,
    scope      TEXT NOT NULL,
    name       TEXT NOT NULL,
    message    INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    until      INTEGER NOT NULL,
    UNIQUE (queue_id, scope, name)
) STRICT;
CREATE INDEX queue_deduplications_by_end ON queue_deduplications (until);

-- What a receive with a ReceiveRequestAttemptId gave, for the one that repeats it.
CREATE TABLE queue_attempts (
    id       INTEGER PRIMARY KEY,
    queue_id INTEGER NOT NULL,
    name     TEXT NOT NULL,
    receipts TEXT NOT NULL,
    until    INTEGER NOT NULL,
    UNIQUE (queue_id, name)
) STRICT;
CREATE INDEX queue_attempts_by_end ON queue_attempts (until);

CREATE TABLE queue_move_tasks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    source       INTEGER NOT NULL,
    source_arn   TEXT NOT NULL,
    destination  TEXT,
    rate         INTEGER,
    status       TEXT NOT NULL,
    last_message INTEGER NOT NULL,
    to_move      INTEGER NOT NULL,
    moved        INTEGER NOT NULL,
    failure      TEXT,
    started_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_move_tasks_by_source ON queue_move_tasks (source_arn, id);
CREATE INDEX queue_move_tasks_running ON queue_move_tasks (id) WHERE status = 'RUNNING';
