"""Showing: metrics, traces, logs for the collector, live progress over NATS, the history, the health page.

Open `observer.py` first. It reads the scoreboard and takes facts; in the spool it takes the one step from `registered`
to `told`. Nothing that the gateway needs to work belongs here, and when it dies nothing else notices.
"""
