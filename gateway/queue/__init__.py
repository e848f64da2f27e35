"""The queue: when waiting mail is attempted, how much of it at once, and by whom."""
