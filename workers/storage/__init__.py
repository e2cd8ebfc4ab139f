"""Storing: from the spool to the final path, synced in groups, and the series metadata of what was stored.

Open `storage_worker.py` first. Nothing here waits for registration or inquiry: messages are hints, the spool is the
truth.
"""
