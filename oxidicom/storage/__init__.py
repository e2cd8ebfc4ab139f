"""The storage as a whole: is it the right one, what time is it by its clock, has it room?

Open `root.py` first. What stands in it belongs to `spool` and `tree`.
"""
