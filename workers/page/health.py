"""How the gateway is, for Kubernetes, balancers and people: what `/healthz` and `/readyz` say.

- `/healthz`: 200 while every process gives signs of life, else 503.
- `/readyz`: 200 while the gateway accepts associations and its storage takes instances, else 503. It is about
  reception only: a database that is away, a backlog, a tree that takes nothing are `degraded`, with their reasons, and
  stay 200, or an outage of what all gateways share would take all of them out of the balancer at once.

An answer costs no walk of the spool: it is read from the scoreboard. But readiness looks at the free space, so that a
storage that does not answer may keep it: it is asked in a thread (`storage_thread`).
"""

import time
from typing import Any

from oxidicom.errors import DatasetError
from oxidicom.storage.reserve import Reserve
from workers.channels.needs import StorageUserNeeds
from workers.channels.readings import backlog
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role, Scoreboard
from workers.channels.storage_condition import StorageCondition, sentence_of

_ANSWER_SECONDS = 15.0
_SILENT_SECONDS = 60.0


def health(shared: StorageUserNeeds) -> tuple[bool, dict[str, Any]]:
    """Tell whether every process is alive, and which are not."""
    now_ns = time.monotonic_ns()
    silent = [
        slot.role.name.lower()
        for slot in shared.scoreboard.slots
        if slot.pid  # else it waits for the storage to be there
        and slot.state not in (ProcessState.SYNCING, ProcessState.ENDED)
        and (now_ns - slot.heartbeat_ns) / 1e9 > _SILENT_SECONDS
    ]
    return not silent, {"status": "failing" if silent else "ok", "silent": silent}


def readiness(shared: StorageUserNeeds) -> tuple[bool, dict[str, Any]]:
    """Tell whether instances are taken, and why not."""
    board = shared.scoreboard
    entries, age_seconds = backlog(board)
    reasons = [reason for reason in (_phase_trouble(board), _storage_trouble(shared)) if reason]
    is_up, is_down = (
        any(slot[counter] for slot in board.of_role(Role.REGISTRATION))
        for counter in (Counter.DATABASE_UP, Counter.DATABASE_DOWN)
    )
    degraded = ["the database cannot be used: rows wait in the spool"] if is_down else []
    if tree := sentence_of(StorageCondition(board).tree_trouble):
        degraded.append(f"{tree}: instances wait in the spool")
    return not reasons, {
        "status": "not ready" if reasons else "degraded" if degraded else "ready",
        "reasons": reasons + degraded,
        "database": "up" if is_up else "down" if is_down else "not used yet",
        "backlog": {"entries": entries, "oldest_seconds": round(age_seconds, 1)},
    }


def _phase_trouble(board: Scoreboard) -> str:
    return "" if board.phase is GatewayPhase.SERVING else f"the gateway is {board.phase.name.lower().replace('_', ' ')}"


def _storage_trouble(shared: StorageUserNeeds) -> str:
    steward = shared.scoreboard.steward
    if steward.state is ProcessState.SYNCING and time.monotonic_ns() - steward.heartbeat_ns > _ANSWER_SECONDS * 1e9:
        return f"the storage has not answered for {_ANSWER_SECONDS:g} s"
    if trouble := sentence_of(StorageCondition(shared.scoreboard).trouble):
        return trouble
    try:
        Reserve(shared.directory.spool, shared.settings.storage_reserve_bytes).check()
    except DatasetError as error:
        return str(error)
    except OSError as error:
        return f"the storage cannot be read: {error.strerror}"
    return ""
