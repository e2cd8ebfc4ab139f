"""`python -m oxidicom` is the command `oxidicom`."""

from oxidicom.cli import main

main()
