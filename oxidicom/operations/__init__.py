"""What an operator does by hand: `check`, `status`, `retry`, `reconcile`. They need no running gateway.

A file for each. How the results are printed is here too; `oxidicom/cli.py` only reads the command line.
"""
