"""Several processes that serve the same ports: what the main process and its workers say to each other, and do."""
