"""CUBE's database: connections, statements, and what its errors mean. The only room that knows its SQL.

Open `database.py` first, then `flat.py`, which has the statements of the tables of CUBE up to 5.2.
"""
