"""Registering: what is stored becomes rows of CUBE's database, in batches, and a series is completed in the end.

Open `registration_worker.py` first. The SQL is in `oxidicom.cube`; what is here decides what goes into a batch and
what becomes of the spool when it is committed.
"""
