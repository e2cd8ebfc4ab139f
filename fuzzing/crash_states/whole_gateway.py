"""The slow way to start where the power failed: the whole gateway by its command, with all its processes.

For a sample of the states: it shows that what `restart` does in one process is what the gateway does.
"""

import glob
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.server import free_port
from fuzzing.crash_states.scenario import Scenario

_DEADLINE_SECONDS = 120.0


class WholeGateway:
    """Starts one gateway after the other in the same place."""

    def __init__(self, scenario: Scenario, files_root: str, conninfo: str) -> None:
        self._files_root = files_root
        self._log = f"{files_root}.log"
        self._environment = scenario.environment(files_root, conninfo, f"{files_root}-state") | {
            "CHRIS_LISTENER_THREADS": "1"
        }

    def run(self) -> list[str]:
        """Start it, let it work off what is there, stop it. Return what is wrong by its own account."""
        with open(self._log, "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "oxidicom"],
                env={**self._environment, "PORT": str(free_port())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wrong = self._wait(process)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(_DEADLINE_SECONDS)
        wrong += [f"it ends with exit status {status}"] if status else []
        unexpected = [line for line in self.lines if '"action": "unexpected"' in line or "process_died" in line]
        return wrong + [json.loads(line)["message"] for line in unexpected]

    def _wait(self, process: "subprocess.Popen[bytes]") -> list[str]:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not self._is_done():
            if process.poll() is not None:
                return ["it does not start"]
            if time.monotonic() > deadline:
                return ["it does not come to an end"]
            time.sleep(0.05)
        return []

    def _is_done(self) -> bool:
        """Tell whether only the spool of the running gateway is left, and nothing in it."""
        spools = glob.glob(os.path.join(self._files_root, ".oxidicom", "0*", "spool"))
        waiting = glob.glob(os.path.join(self._files_root, ".oxidicom", "0*", "spool", "[0-9]*"))
        return len(spools) == 1 and not waiting and any('"action": "ready"' in line for line in self.lines)

    @property
    def lines(self) -> list[str]:
        """Its log."""
        return Path(self._log).read_text().splitlines()
