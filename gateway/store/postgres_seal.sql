-- By what a start sees whether its key is the one that secrets were sealed with. Version 2 of the schema.
CREATE TABLE seal (
    id     INTEGER PRIMARY KEY CHECK (id = 1),           -- one row, or none before the first start
    sealed BYTEA NOT NULL                                -- a known text, sealed
);
