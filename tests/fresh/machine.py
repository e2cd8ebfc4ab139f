"""A minimal Debian in a folder, with commands run in it as on a machine of its own."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fresh.host import debian_sources, hand_over_apt, proxies

_APART = [
    *("setpriv", "--pdeathsig=KILL"),
    *("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL"),
]
"""Mounts and processes that are gone with the process that had them made, even if it is killed."""


class Machine:
    """A folder with a Debian. Use it as a context: at its end the folder is gone, and before it all that runs there."""

    def __init__(self, parent: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="oxidicom-fresh-", dir=parent))
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Machine":
        self.root.chmod(0o755)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.wait()
        shutil.rmtree(self.root)

    def build(self) -> None:
        """Install Debian's minimal variant, of the host's own release: a minute. Raise CalledProcessError."""
        source = debian_sources()[0]
        command = ["debootstrap", "--variant=minbase", source.release, str(self.root), source.address]
        self._check([*_APART, *command])
        hand_over_apt(self.root)
        self.run("root", "apt-get -q update", reaches_host=True)

    def run(self, account: str, command: str, reaches_host: bool = False) -> None:
        """Run a line of shell in the home of an account, to its end. Raise CalledProcessError if it fails.

        It has the network of the host, which only what installs packages needs, or none but its own loopback.
        """
        self._check(self._enter(account, command, reaches_host))

    def start(self, account: str, command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a line of shell, with a network of its own. It is killed at the end of the machine at the latest."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._enter(account, command, False), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._running.append(process)
        return process

    def _enter(self, account: str, command: str, reaches_host: bool) -> list[str]:
        apart = [*_APART] if reaches_host else [*_APART, "--net"]
        inside = [sys.executable, "-m", "tests.fresh.inside", str(self.root), account]
        return [*apart, *inside, "env", *proxies(), "sh", "-c", f"cd && {command}"]

    @staticmethod
    def _check(command: list[str]) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
