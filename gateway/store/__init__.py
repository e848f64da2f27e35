"""What outlives a restart. SQLite now; the schema is in the .sql files beside this."""
