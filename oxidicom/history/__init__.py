"""The history: one record for each association that survives restarts, in one SQLite file for each files root.

Open `records.py` first: what is written and what is read. `schema.py` has the file and its tables, `store.py` writes,
`reader.py` reads. UIDs stand in it, names, ids and descriptions of patients do not. Nothing that the gateway needs to
work belongs here.
"""
