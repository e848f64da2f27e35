"""The operator's web pages and JSON on the console's port: the sandbox inbox, and health.

Which address it listens on, and who may reach it, is the wiring's.
"""
