"""The parent: binds the port, forks the roles, reaps and respawns them, and ends the gateway in order.

Open `supervisor.py` first; `children.py` has the processes, `directory_keeper.py` the directory of the gateway. It may
import every role, since it forks them; no role imports it. No thread, no database connection and no SDK belongs here:
they do not survive a fork.
"""
