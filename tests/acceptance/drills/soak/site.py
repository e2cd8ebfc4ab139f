"""Where the soak takes place: a storage that can be filled, a database that can be taken away, several gateways."""

import contextlib
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

from oxidicom.embedded.server import EmbeddedPostgres
from tests.fixtures.gateway import Gateway
from tests.fixtures.proxy import Proxy

STORAGE_BYTES = 6 << 30
_MAX_LOG_BYTES = 8 << 20
_CLOCK = Path(__file__).with_name("clock.c")
"""Gives each gateway a clock of its own, which can be set, if there is a C compiler."""


class SoakGateway(Gateway):
    """A gateway that is started again and again: it is not waited for, and its log does not grow for ever."""

    def start(self, wait=False):
        if self.log_path.stat().st_size > _MAX_LOG_BYTES:
            self.log_path.rename(self.log_path.with_suffix(".old.log"))
            self.log_path.touch()
        return super().start(wait)

    def set_clock(self, seconds):
        """Set its clock by so many seconds from the right time, if it has one of its own."""
        clock = self.environment.get("SOAK_CLOCK")
        if clock:
            with open(clock, "r+b") as file:
                file.write(struct.pack("<q", seconds))


class Site:
    """All of it, below one directory."""

    def __init__(
        self, directory: str, gateways: int, *, is_in_memory: bool = True, with_clocks: bool = True, **variables: str
    ) -> None:
        """Nothing is touched before `start`. `is_in_memory`: the storage is a file system of its own there, if this is
        root; else it is never full. `with_clocks`: each gateway has a clock that can be set, which costs it a system
        call for each look at the time. `variables` are those of all gateways."""
        self._variables = variables
        self.directory = Path(directory)
        self.files_root = self.directory / "files"
        self.server = EmbeddedPostgres(str(self.directory / "database"))
        self.gateways: list[SoakGateway] = []
        self.can_be_filled = False
        self.has_clocks = False
        self.conninfo = ""
        self._count = gateways
        self._is_in_memory = is_in_memory
        self._with_clocks = with_clocks
        self._proxies: list[Proxy] = []

    @property
    def proxy(self) -> Proxy:
        """Between all gateways and the database."""
        return self._proxies[0]

    def start(self) -> Self:
        """Start everything, and return when the gateways are ready."""
        self.directory.mkdir(exist_ok=True)
        self.directory.chmod(0o755)  # PostgreSQL runs as another user
        self.files_root.mkdir()
        self.can_be_filled = self._is_in_memory and self._mount()
        self.has_clocks = self._with_clocks and self._compile_clock()
        self.server.start()
        self._proxies.append(Proxy(self.server.port))
        self.conninfo = self.server.conninfo
        through_proxy = self.conninfo.replace(f"port={self.server.port}", f"port={self.proxy.port}")
        assert through_proxy != self.conninfo
        self.gateways += [self._gateway(number, through_proxy) for number in range(self._count)]
        for gateway in self.gateways:
            gateway.start(wait=True)
        return self

    def _mount(self) -> bool:
        options = f"size={STORAGE_BYTES},mode=0755"
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(self.files_root)]
        return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _compile_clock(self) -> bool:
        compiler = shutil.which("cc")
        if compiler:
            library = str(self.directory / "clock.so")
            subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, str(_CLOCK)], check=True)
        return compiler is not None

    def _gateway(self, number: int, conninfo: str) -> SoakGateway:
        variables = self._variables | {
            "STATE_DIRECTORY": str(self.directory / f"state{number}"),
            "CHRIS_HISTORY_DAYS": "0",
        }
        if self.has_clocks:
            clock = self.directory / f"clock{number}"
            clock.write_bytes(bytes(8))
            variables |= {"LD_PRELOAD": str(self.directory / "clock.so"), "SOAK_CLOCK": str(clock)}
        return SoakGateway(self.directory, conninfo, name=f"gateway{number}", **variables)

    def attempt(self, attempt: Callable[[Self], str], *failures: type[Exception]) -> int:
        """Start everything, make an attempt, print what it says. Return the exit status.

        All of it is removed. When the attempt raises one of `failures`, which is printed, or anything else, all stays.
        """
        try:
            print(attempt(self.start()), flush=True)
        except failures as error:
            print(f"FAILED (everything is kept in {self.directory}): {error}", flush=True)
            self.stop()
            return 1
        except BaseException:
            self.stop()
            raise
        self.remove()
        return 0

    def restart_database(self) -> None:
        """Start the database again, wherever its port is now."""
        self.server.stop()
        self.server.start()
        self.conninfo = self.server.conninfo
        self.proxy.target = self.server.port

    def stop(self) -> None:
        """End all processes. What is stored stays."""
        for gateway in self.gateways:
            if gateway.process and gateway.process.poll() is None:
                gateway.kill_all()
        for proxy in self._proxies:
            proxy.close()
        self.server.stop()

    def remove(self) -> None:
        """End all processes, and remove what they left."""
        self.stop()
        if self.can_be_filled:
            subprocess.run(["umount", "--lazy", self.files_root], check=False)
        with contextlib.suppress(OSError):
            shutil.rmtree(self.directory)
