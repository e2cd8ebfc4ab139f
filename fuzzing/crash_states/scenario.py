"""What is recorded: how the gateway is set, and what its storage is like."""

import itertools
import os
from pathlib import Path
from typing import Literal, NamedTuple

Way = Literal["links", "copies", "filesystems"]
Schema = Literal["flat", "folders"]


class Scenario(NamedTuple):
    """One combination. Each recording has small instances (written in one piece) and large ones (piece by piece)."""

    sync: bool = True
    """CHRIS_SCP_SYNC: what is promised to the sender is promised for a power failure too."""
    way: Way = "links"
    """How files reach the tree: by hard links; by copies, where links are refused; by copies to another filesystem."""
    schema: Schema = "flat"
    """The generation of CUBE's tables."""
    mutant: str = ""
    """A gateway that is broken on purpose (`mutants`)."""

    def __str__(self) -> str:
        words = ["sync" if self.sync else "nosync", self.way, self.schema, *([self.mutant] if self.mutant else [])]
        return "+".join(words)

    @property
    def mounts(self) -> tuple[str, ...]:
        """The directories below the files root that are filesystems of their own."""
        return ("SERVICES",) if self.way == "filesystems" else ()

    def environment(self, files_root: str, conninfo: str, state_directory: str) -> dict[str, str]:
        """Return the environment of a gateway; its port and how many listeners it has are left to whoever starts it."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "CHRIS_DB_CONNECTION": conninfo,
            "CHRIS_FILES_ROOT": files_root,
            "TOKIO_WORKER_THREADS": "2",
            "CHRIS_HISTORY_DAYS": "0",
            "CHRIS_LOG_FORMAT": "json",
            "STATE_DIRECTORY": state_directory,
            "CHRIS_SCP_SYNC": "yes" if self.sync else "no",
        }


def all_scenarios(*, may_mount: bool) -> list[Scenario]:
    """Return every combination; to mount another filesystem one has to be root."""
    ways: tuple[Way, ...] = ("links", "copies", "filesystems") if may_mount else ("links", "copies")
    schemas: tuple[Schema, ...] = ("flat", "folders")
    return [Scenario(sync, way, schema) for sync, way, schema in itertools.product((True, False), ways, schemas)]
