"""What `/healthz` and `/readyz` say, to Kubernetes, balancers and people.

- `/healthz`: 200 while every process gives signs of life, else 503.
- `/readyz`: 200 while the gateway accepts associations and its storage takes instances, else 503. It is about
  reception only: a database that is away, a backlog, a tree that takes nothing are `degraded`, with their reasons, and
  stay 200, or an outage of what all gateways share would take all of them out of the balancer at once.

An answer is read from the scoreboard: it costs no walk of the spool, and waits for no storage.
"""

from typing import Any

from oxidicom.judgement.condition import Condition
from oxidicom.judgement.rules import judge
from workers.channels.condition import condition_of, silent_roles
from workers.channels.needs import BasicNeeds


def health(shared: BasicNeeds) -> tuple[bool, dict[str, Any]]:
    """Tell whether every process is alive, and which are not."""
    silent = silent_roles(shared.scoreboard)
    return not silent, {"status": "failing" if silent else "ok", "silent": silent}


def readiness(shared: BasicNeeds) -> tuple[bool, dict[str, Any]]:
    """Tell whether instances are taken, and the judgement with its reasons."""
    condition = condition_of(shared)
    judgement = judge(condition)
    reasons = [str(reason) for reason in judgement.reasons]
    is_ready = _is_ready(condition)
    return is_ready, {
        "status": ("degraded" if reasons else "ready") if is_ready else "not ready",
        "judgement": judgement.level,
        "reasons": reasons,
        "database": condition.database.word,
        "backlog": {"entries": condition.waiting, "oldest_seconds": round(condition.oldest_seconds, 1)},
    }


def _is_ready(condition: Condition) -> bool:
    """Tell whether instances are taken now; if not, the judgement has the reason."""
    is_full = condition.room is not None and condition.room.is_full
    return condition.phase == "serving" and condition.storage is None and not is_full
