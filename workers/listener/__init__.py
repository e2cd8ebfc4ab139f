"""Receiving: the listeners, each with one association at a time, and the doorman, who answers when none is free.

Open `listener.py`, then `association.py`, then `store_service.py`: that is the way of an instance from the socket to
Success. What needs the final tree or the database does not belong here: reception goes on without both.
"""
