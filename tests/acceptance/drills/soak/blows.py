"""What befalls the site: each blow is chosen by chance, by its weight, and says how many processes it killed."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from tests import processes
from tests.acceptance.drills.soak.site import Site

_LEAST_LEFT_BYTES = 4096


class Blow(NamedTuple):
    """One kind of blow. `lasts`: it takes its time, and others fall meanwhile."""

    name: str
    weight: float
    strike: Callable[["Blows"], int]
    lasts: bool = False


class Blows:
    """Chooses and strikes."""

    def __init__(self, site: Site, seed: int) -> None:
        """The same seed chooses the same blows, though not the same moments."""
        self._site = site
        self._chance = random.Random(seed)
        self._kinds = [kind for kind in BLOWS if self._can_be(kind)]

    def _can_be(self, kind: Blow) -> bool:
        needed = {"disk full": self._site.can_be_filled, "clock set": self._site.has_clocks}
        return needed.get(kind.name, True)

    def choose(self) -> Blow:
        """Return the next one."""
        return self._chance.choices(self._kinds, [kind.weight for kind in self._kinds])[0]

    def kill_process(self) -> int:
        """A process of any role; its supervisor replaces it."""
        children = [pid for gateway in self._site.gateways for pid in self._children(gateway)]
        return self._kill(self._chance.choice(children)) if children else 0

    def _children(self, gateway) -> list[int]:
        with contextlib.suppress(OSError):
            return gateway.children() if gateway.process else []
        return []

    @staticmethod
    def _kill(pid: int) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return 1
        return 0

    def kill_supervisor(self) -> int:
        """The kernel kills its children with it."""
        gateway = self._chance.choice(self._site.gateways)
        gateway.kill()
        gateway.start()
        return 1

    def kill_gateway(self) -> int:
        """All processes of one gateway at the same moment."""
        return self._kill_all([self._chance.choice(self._site.gateways)])

    def kill_all_gateways(self) -> int:
        """Nobody is left to take anything over."""
        return self._kill_all(self._site.gateways)

    def _kill_all(self, gateways) -> int:
        count = 0
        for gateway in gateways:
            count += 1 + len(self._children(gateway))
            gateway.kill_all()
        for gateway in gateways:
            gateway.start()
        return count

    def stop_gateway(self) -> int:
        """In order: what is not registered by then is taken up by the others, or at the start."""
        gateway = self._chance.choice(self._site.gateways)
        gateway.stop()
        gateway.start()
        return 0

    def freeze_process(self) -> int:
        """A process stands still for a moment."""
        children = [pid for gateway in self._site.gateways for pid in self._children(gateway)]
        if children:
            self._freeze([self._chance.choice(children)], self._chance.uniform(0.2, 3))
        return 0

    @staticmethod
    def _freeze(pids: list[int], seconds: float) -> None:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            if number is signal.SIGSTOP:
                time.sleep(seconds)

    def freeze_database(self) -> int:
        """It stands still with all its connections."""
        pid = self._site.server.postmaster_pid
        if pid:
            self._freeze([pid, *processes.children(pid)], self._chance.uniform(1, 8))
        return 0

    def kill_database(self) -> int:
        """It recovers from its log, on another port."""
        pid = self._site.server.postmaster_pid
        killed = self._kill(pid) if pid else 0
        time.sleep(self._chance.uniform(0, 5))
        self._site.restart_database()
        return killed

    def refuse_database(self) -> int:
        """Nobody listens on its port for a while."""
        self._site.proxy.refuse()
        time.sleep(self._chance.uniform(0.5, 10))
        self._site.proxy.accept()
        return 0

    def swallow_database(self) -> int:
        """Connections stay open and nothing passes: as behind a firewall that forgets."""
        self._site.proxy.swallow()
        time.sleep(self._chance.uniform(0.5, 40))
        self._site.proxy.heal()
        return 0

    def fill_disk(self) -> int:
        """The storage is full, to the last page or nearly so, for a moment."""
        path = self._site.files_root / ".filling"
        with open(path, "wb") as file:
            space = os.fstatvfs(file.fileno())
            left = self._chance.choice((_LEAST_LEFT_BYTES, 1 << 16, 1 << 20))
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, space.f_bavail * space.f_frsize - left))
        time.sleep(self._chance.uniform(0.5, 4))
        path.unlink()
        return 0

    def set_clock(self) -> int:
        """The clock of one gateway is set, and stays so: an hour, a day or years, forth or back."""
        gateway = self._chance.choice(self._site.gateways)
        gateway.set_clock(self._chance.choice((0, 5, -5, 3600, -3600, 86_400, -86_400, 10**8, -(10**8))))
        return 0


BLOWS = (
    Blow("process killed", 900, Blows.kill_process),
    Blow("process frozen", 10, Blows.freeze_process, lasts=True),
    Blow("supervisor killed", 15, Blows.kill_supervisor),
    Blow("gateway killed", 15, Blows.kill_gateway),
    Blow("all gateways killed", 3, Blows.kill_all_gateways),
    Blow("gateway stopped", 3, Blows.stop_gateway),
    Blow("database frozen", 4, Blows.freeze_database, lasts=True),
    Blow("database killed", 3, Blows.kill_database, lasts=True),
    Blow("database refuses", 4, Blows.refuse_database, lasts=True),
    Blow("database swallows", 2, Blows.swallow_database, lasts=True),
    Blow("disk full", 10, Blows.fill_disk, lasts=True),
    Blow("clock set", 15, Blows.set_clock),
)
