"""The embedded database: a private PostgreSQL for trying the gateway out and for its tests.

Open `server.py` first. The binaries come from a wheel (the extra `embedded`); nothing of a gateway that has a database
of its own comes here.
"""
