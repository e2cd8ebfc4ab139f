"""CUBE's database: connections, statements, and what its errors mean. The only room that knows its SQL.

Open `database.py` first, then `generation.py` (what a generation of the schema is), `flat.py`, that of CUBE 3.5 to 5.2,
and `folders.py`, that of CUBE 6 and 7.
"""
