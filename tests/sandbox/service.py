"""The gateway as the systemd service, where no service manager is at hand: under the filters of its unit."""

import sys

from tests.fixtures.gateway import Gateway


def confine(gateway: Gateway) -> None:
    """Put a gateway that is not started yet, with all that it will start, under the filters."""
    gateway.command = [sys.executable, "-m", "tests.sandbox", *gateway.command]
