"""Showing: metrics, traces, logs for the collector, and the health page.

Open `observer.py` first. It only reads the scoreboard and takes facts: nothing that the gateway needs to work belongs
here, and when it dies nothing else notices.
"""
