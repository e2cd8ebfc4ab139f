"""What each released version left when it was killed at work, for later ones to take up: `make spool` adds one."""
