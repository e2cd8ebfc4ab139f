"""CUBE's database: connections, statements, and what its errors mean. The only room that knows its SQL.

Open `database.py` first, then `generation.py` (what a generation of the
schema is) and `flat.py`, that of CUBE up to 5.2.
"""
