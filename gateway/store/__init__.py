"""What outlives a restart: the queue, the message log, events, notices and credentials. The schema is in .sql files."""
