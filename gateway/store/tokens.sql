-- What credentials of further kinds need. Version 3 of the schema.
ALTER TABLE credentials ADD COLUMN stream       TEXT NOT NULL DEFAULT '';  -- the message stream that it is bound to
ALTER TABLE credentials ADD COLUMN last_used_at TEXT;                      -- ISO 8601, UTC; NULL: never logged in with
