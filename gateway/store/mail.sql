-- The queue, the message log, events and notices. Version 4 of the schema.
-- Times are seconds since 1970 by the wall clock, unless said otherwise; JSON is text.

CREATE TABLE messages (
    message_id        TEXT PRIMARY KEY,              -- sortable by time, so that listings need no other order
    session_id        TEXT NOT NULL,
    received_at       REAL NOT NULL,
    account_name      TEXT NOT NULL,
    account           TEXT NOT NULL,                 -- JSON: what makes the account again, without its key
    sealed_key        BLOB,                          -- the client's own key, encrypted
    envelope          TEXT NOT NULL,                 -- JSON
    size_octets       INTEGER NOT NULL,
    mode              TEXT NOT NULL,                 -- direct, queued or spill
    kind              TEXT NOT NULL,                 -- mail or dsn
    lane              TEXT NOT NULL,                 -- the vendor entry and key that it leaves by, when last looked at
    origin            TEXT NOT NULL,                 -- JSON: listener, peer, hello name, transmission type, TLS
    header_message_id TEXT NOT NULL,
    author            TEXT NOT NULL,
    subject           TEXT NOT NULL,
    search_text       TEXT NOT NULL,                 -- author, subject and reverse-path in lower case
    moved_to          TEXT NOT NULL,                 -- JSON: vendor entries in place of the route's
    idempotency_key   TEXT NOT NULL,
    expires_at        REAL NOT NULL,
    attempts          INTEGER NOT NULL,              -- how many were made
    warned            INTEGER NOT NULL,              -- 1: the sender was told that it is late
    accepted          INTEGER NOT NULL,              -- how many recipients were accepted; less only where a 250 was not given after all
    has_content       INTEGER NOT NULL,              -- 1: the content can be read
    pieces            INTEGER NOT NULL,              -- rows in content; more than 0 with has_content 0: being deleted
    ended_at          REAL                           -- since when no recipient waits; NULL while one does
) STRICT;
CREATE INDEX messages_by_account ON messages (lower(account_name), message_id);
CREATE INDEX messages_by_header_message_id ON messages (substr(lower(header_message_id), 1, 200))
    WHERE header_message_id <> '';
CREATE INDEX messages_by_received_at ON messages (received_at);
CREATE INDEX messages_by_ended_at ON messages (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX messages_with_pieces ON messages (ended_at) WHERE pieces > 0;

CREATE TABLE recipients (
    message_id        TEXT NOT NULL REFERENCES messages ON DELETE CASCADE,
    position          INTEGER NOT NULL,              -- the order of the RCPT commands
    path              TEXT NOT NULL,
    path_key          TEXT NOT NULL,                 -- the path in lower case, for searching
    state             TEXT NOT NULL,
    is_unknown        INTEGER NOT NULL,
    vendor            TEXT NOT NULL,
    vendor_message_id TEXT NOT NULL,
    cause             TEXT NOT NULL,
    reason            TEXT NOT NULL,
    PRIMARY KEY (message_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipients_by_path ON recipients (path_key, message_id);
CREATE INDEX recipients_by_state ON recipients (state, message_id);
CREATE INDEX recipients_by_vendor_message_id ON recipients (substr(lower(vendor_message_id), 1, 200))
    WHERE vendor_message_id <> '';

CREATE TABLE attempts (
    message_id          TEXT NOT NULL REFERENCES messages ON DELETE CASCADE,
    number              INTEGER NOT NULL,            -- from 1
    vendor              TEXT NOT NULL,
    began_at            REAL NOT NULL,
    seconds             REAL NOT NULL,
    outcomes            TEXT NOT NULL,               -- JSON: by forward-path
    reason              TEXT NOT NULL,
    retry_after_seconds REAL,
    calls               TEXT NOT NULL,               -- JSON: the HTTP requests and their answers, without keys
    report              TEXT NOT NULL,               -- JSON
    gateway             TEXT NOT NULL,
    PRIMARY KEY (message_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE content (
    message_id TEXT NOT NULL REFERENCES messages ON DELETE CASCADE,
    number     INTEGER NOT NULL,                     -- from 0
    octets     BLOB NOT NULL,
    PRIMARY KEY (message_id, number)
) STRICT;

CREATE TABLE queue (                                 -- one row for each message with a recipient that waits
    message_id      TEXT PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
    lane            TEXT NOT NULL,
    account_name    TEXT NOT NULL,
    received_at     REAL NOT NULL,
    next_attempt_at REAL,                            -- NULL: all are held
    scheduled_at    REAL NOT NULL,                   -- when that was decided: later than now, the clock went back
    claimed_by      TEXT,                            -- the gateway that may attempt it
    claim_token     TEXT,
    claim_clock     TEXT,                            -- the clock that claimed_until is of; any other one: it is over
    claimed_until   REAL,                            -- by that clock
    lease_seconds   REAL,
    in_flight       INTEGER NOT NULL DEFAULT 0       -- 1: an attempt was begun whose end was never told
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_by_lane ON queue (lane, account_name, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX queue_by_time ON queue (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX queue_by_claim ON queue (claimed_by) WHERE claimed_by IS NOT NULL;

CREATE TABLE events (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,    -- never given twice, also after the newest was deleted
    at         REAL NOT NULL,
    name       TEXT NOT NULL,
    message_id TEXT NOT NULL,
    detail     TEXT NOT NULL                         -- JSON
) STRICT;
CREATE INDEX events_by_message ON events (message_id, number);

CREATE TABLE bounces (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id   TEXT NOT NULL,
    account_name TEXT NOT NULL,
    path         TEXT NOT NULL,
    path_key     TEXT NOT NULL,                      -- the path in lower case, for searching
    at           REAL NOT NULL,
    error_code   INTEGER NOT NULL,
    description  TEXT NOT NULL,
    details      TEXT NOT NULL,
    stream       TEXT NOT NULL,
    tag          TEXT NOT NULL,
    metadata     TEXT NOT NULL                       -- JSON
) STRICT;
CREATE INDEX bounces_by_account ON bounces (lower(account_name), number);
CREATE INDEX bounces_by_message ON bounces (message_id);

CREATE TABLE webhook_posts (                         -- deliveries that were not taken yet
    post_id         TEXT PRIMARY KEY,
    webhook         TEXT NOT NULL,
    created_at      REAL NOT NULL,
    next_attempt_at REAL NOT NULL,
    body            BLOB NOT NULL,
    attempts        INTEGER NOT NULL,
    claim_token     TEXT,
    claim_clock     TEXT,
    claimed_until   REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_posts_by_time ON webhook_posts (next_attempt_at);

CREATE TABLE totals (                                -- recipients ever accepted, and where they stand; kept as they move
    shard      INTEGER NOT NULL,                     -- the sum counts: many rows, so that writers need not wait in line
    name       TEXT NOT NULL,                        -- accepted or a state; with pruned_ before it: of deleted messages
    recipients INTEGER NOT NULL,
    PRIMARY KEY (shard, name)
) STRICT, WITHOUT ROWID;
