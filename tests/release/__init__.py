"""`make release-check`: what is handed to others is built, looked at, installed and run, as they will have it.

Open `__main__.py` first. It needs the network, for packages, and takes minutes: `make test` does not run it.
"""
