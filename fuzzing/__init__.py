"""Fuzzing: hostile bytes for the acceptor and the header scanner, and a judge of what may come of them.

`make fuzz` runs it for long, guided by coverage (atheris); the tests run the same judges with hypothesis.
"""
