"""The journal: one directory for each association, whose names say how far each instance has come.

Open `names.py` first, then `journal.py` (who moves what on), `spool_writer.py` (the listener's side) and
`association_directory.py` (everybody else's). Nothing here runs by itself: the processes that move things on are in
`workers`.
"""
