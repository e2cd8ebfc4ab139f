"""Keeping the storage: is it there, what time is it by its clock, what did others leave, what waits?

Open `steward.py` first. It is the one process that looks at the storage as a whole, so that it alone waits when that
does not answer.
"""
