"""Asking a PACS: C-FIND for the size of a series, C-ECHO for `oxidicom check`.

Open `find.py` first. `requestor.py` reads what a PACS answers, within a deadline in every state: it is not trusted.
"""
