"""One file a vendor: its dialect, its API, and the reading of its answers. The file's name is its registry entry."""
