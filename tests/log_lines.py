"""The log of a gateway, read while it is written."""

import json


def log_lines(path):
    """Return the JSON lines of a log. A reader may see the last one half written: it is left to the next look."""
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
