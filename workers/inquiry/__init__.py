"""Asking: how many instances does the PACS have of a series (C-FIND)?

Open `inquiry_worker.py` first, then `pacs_desk.py`. The protocol is in `oxidicom.pacs`. A PACS may be slow or dead, so
nothing that others wait for belongs here.
"""
