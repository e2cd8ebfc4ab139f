"""How levels look on a terminal, the same in every command."""

from oxidicom.judgement.judgement import Level

LEVEL_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.CRITICAL: "bold red"}
"""Styles of rich."""
