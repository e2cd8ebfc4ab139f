"""Showing: metrics, traces and logs for the collector, live progress over NATS, and the history.

Open `observer.py` first. It reads the scoreboard and takes facts; in the spool it takes the one step from `registered`
to `told`. Nothing that the gateway needs to work belongs here, and when it dies nothing else notices.
"""
