-- What the SASL mechanisms beside PLAIN and LOGIN need of a credential. Version 2 of the schema.
-- Credentials of version 1 have none of it, until their secret is made anew.
ALTER TABLE credentials ADD COLUMN scram_salt       BLOB;     -- SCRAM-SHA-256 (RFC 5802 §3), all four or none
ALTER TABLE credentials ADD COLUMN scram_iterations INTEGER;
ALTER TABLE credentials ADD COLUMN scram_stored_key BLOB;
ALTER TABLE credentials ADD COLUMN scram_server_key BLOB;
ALTER TABLE credentials ADD COLUMN sealed_secret    BLOB;     -- CRAM-MD5 and DIGEST-MD5, only when asked for:
                                                              -- the secret, encrypted with the key beside the store
