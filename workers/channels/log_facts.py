"""Log lines as facts, so that the observer can export them: the way to the collector that never waits."""

from typing import TYPE_CHECKING

from loguru import logger

from workers.channels.facts import LineLogged
from workers.channels.scoreboard import Slot
from workers.channels.shared import Shared

if TYPE_CHECKING:
    from loguru import Message


_inherited: list[int] = []
"""The sink of this process, or until it has its own that of the process which forked it."""


def forward_logs(shared: Shared, slot: Slot) -> None:
    """Send this process's lines to the observer too, if there is an endpoint. Call it in each process.

    The one that forked has counted what it could not send in its own slot: its sink is not to be inherited.
    """
    if not shared.settings.otlp_endpoint:
        return
    while _inherited:
        logger.remove(_inherited.pop())

    def forward(message: "Message") -> None:
        record = message.record
        fields = {name: str(value) for name, value in record["extra"].items() if name not in ("association", "fields")}
        time_ns = int(record["time"].timestamp() * 1e9)
        association = str(record["extra"].get("association", ""))
        shared.facts.tell(slot, LineLogged(time_ns, record["level"].name, record["message"], fields, association))

    _inherited.append(
        logger.add(forward, level="DEBUG" if shared.settings.verbose else "INFO", format="{message}", catch=True)
    )
