"""LONK, the "light oxidicom notifications kit": what those who follow a series live hear over NATS.

Open `messages.py` first: it has the subjects and payloads, which CUBE's relay and its clients know. `progress.py` says
what is to be said now, and `publisher.py` sends it. Nothing here knows the spool, the facts or the processes, and
nothing of the gateway's work waits for any of it.
"""
