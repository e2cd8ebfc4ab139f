"""What an operator does by hand. `top` and `send-test` are for a running gateway, all others need none.

Open the file that is named as the command: `status.py`, `check.py`. How the results are printed is here too;
`oxidicom/cli.py` only reads the command line.
"""
