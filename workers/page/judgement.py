"""The judgement: how the gateway is, in one word with its reasons."""

import enum

import msgspec

from workers.channels.needs import StorageUserNeeds
from workers.page.health import health, readiness


class Level(enum.StrEnum):
    """From good to bad."""

    OK = "ok"
    WARNING = "warning"
    """It takes instances, but something wants to be looked at."""
    CRITICAL = "critical"
    """It takes none, or a process hangs."""


class Judgement(msgspec.Struct, frozen=True):
    """A level and what speaks for it."""

    level: Level
    reasons: list[str]


_LEVELS = {"ready": Level.OK, "degraded": Level.WARNING, "not ready": Level.CRITICAL}


def judgement_of(shared: StorageUserNeeds) -> Judgement:
    """Judge the gateway. It looks at the storage, which may not answer."""
    is_alive, alive = health(shared)
    _, ready = readiness(shared)
    reasons = [f"no sign of life from: {role}" for role in alive["silent"]] + ready["reasons"]
    return Judgement(_LEVELS[ready["status"]] if is_alive else Level.CRITICAL, reasons)
