-- SMTP credentials that the operator makes, as this gateway's own. Version 1 of the schema.
CREATE TABLE credentials (
    user_name    TEXT PRIMARY KEY COLLATE NOCASE,  -- what the client logs in with; compared without case
    secret_hash  TEXT NOT NULL,                    -- Argon2id in its encoded form; the secret itself is nowhere
    vendor       TEXT NOT NULL,                    -- the [vendors] entry whose key it stands for
    active       INTEGER NOT NULL DEFAULT 1,       -- 0: deactivated, kept so that the name is not given out again
    created_at   TEXT NOT NULL                     -- ISO 8601, UTC
) STRICT;
