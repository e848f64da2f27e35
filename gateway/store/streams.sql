-- What is bound to a credential and known of its use. Version 3 of the schema.
ALTER TABLE credentials ADD COLUMN stream       TEXT NOT NULL DEFAULT '';  -- the only message stream it sends to; '': any
ALTER TABLE credentials ADD COLUMN last_used_at TEXT NOT NULL DEFAULT '';  -- of its last login, to the minute or so:
                                                                          -- ISO 8601, UTC; '': there was none
