"""Files as the operating system has them: opened without waiting, locked, synced, few at a time.

Knows nothing of the spool or the tree. Open `regular_file.py` first.
"""
