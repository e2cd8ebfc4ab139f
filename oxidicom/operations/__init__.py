"""What an operator does by hand: `check`, `status`, `retry`, `reconcile`. A file for each; they need no running gateway.

How the results are printed is here too; `oxidicom/cli.py` only reads the command line.
"""
