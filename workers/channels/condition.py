"""The condition of the gateway, read from the scoreboard: it waits for nothing, so that every process may ask."""

import datetime
import socket
import time

from oxidicom import __version__
from oxidicom.judgement.condition import Condition, DatabaseCondition, Lately, Room, Trouble
from oxidicom.storage.trouble import StorageTrouble, remedy_of, sentence_of
from workers.channels.needs import BasicNeeds
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role, Scoreboard
from workers.channels.storage_condition import StorageCondition

_ANSWER_SECONDS = 15.0
_SILENT_SECONDS = 60.0
_PHASES = {GatewayPhase.STARTING: "starting", GatewayPhase.SERVING: "serving"}


def condition_of(shared: BasicNeeds) -> Condition:
    """Return what the gateway knows of itself now."""
    board, steward = shared.scoreboard, shared.scoreboard.steward
    count, oldest_seconds = backlog(board)
    return Condition(
        at=datetime.datetime.now(datetime.UTC),
        version=__version__,
        host=socket.gethostname(),
        port=shared.settings.port,
        phase=_PHASES.get(board.phase, "stopping"),
        silent=tuple(silent_roles(board)),
        storage=_storage_trouble(board),
        tree=_tree_trouble(board),
        room=_room(board),
        database=_database(board),
        waiting=count,
        oldest_seconds=oldest_seconds,
        set_aside=steward[Counter.SET_ASIDE_NOW],
        certificate_expires=_moment(board.slots[0][Counter.CERTIFICATE_EXPIRES_SECONDS]),
        pacs_trouble=board.of_role(Role.INQUIRY)[0].note,
        page_trouble="; ".join(slot.note for slot in board.of_role(Role.PAGE)),
        history_trouble=board.of_role(Role.OBSERVER)[0].note,
        lately=Lately(
            minutes=steward[Counter.LATELY_MINUTES],
            taken=steward[Counter.LATELY_TAKEN],
            refused=steward[Counter.LATELY_REFUSED],
            out_of_resources=steward[Counter.LATELY_OUT_OF_RESOURCES],
            respawned=steward[Counter.LATELY_RESPAWNED],
            progress_lost=steward[Counter.LATELY_PROGRESS_LOST],
            accepted=steward[Counter.LATELY_ACCEPTED],
            rejected=steward[Counter.LATELY_REJECTED],
        ),
    )


def silent_roles(board: Scoreboard) -> list[str]:
    """Return the role of each process that gives no sign of life."""
    now_ns = time.monotonic_ns()
    return [
        slot.role.name.lower()
        for slot in board.slots
        if slot.pid  # else it waits for the storage to be there
        and slot.state not in (ProcessState.SYNCING, ProcessState.ENDED)
        and (now_ns - slot.heartbeat_ns) / 1e9 > _SILENT_SECONDS
    ]


def backlog(board: Scoreboard) -> tuple[int, float]:
    """Return how many things stand in the spool, and the age of the oldest that waits, in seconds (0: none does).

    As the steward counted them last.
    """
    oldest = board.steward[Counter.SPOOL_OLDEST_SECONDS]
    return board.steward[Counter.SPOOL_ENTRIES], max(0.0, time.time() - oldest) if oldest else 0.0


def _storage_trouble(board: Scoreboard) -> Trouble | None:
    steward = board.steward
    if steward.state is ProcessState.SYNCING and time.monotonic_ns() - steward.heartbeat_ns > _ANSWER_SECONDS * 1e9:
        sentence = f"the storage has not answered for {_ANSWER_SECONDS:g} s"
        return Trouble(sentence, "see whether its server can be reached")
    return _trouble(StorageCondition(board).trouble)


def _tree_trouble(board: Scoreboard) -> Trouble | None:
    """Return what was found. Nobody looks at the tree of a storage that is not good, whose own trouble tells."""
    trouble = StorageCondition(board).tree_trouble
    return None if trouble is StorageTrouble.NOT_LOOKED_AT else _trouble(trouble)


def _trouble(trouble: StorageTrouble) -> Trouble | None:
    return Trouble(sentence_of(trouble), remedy_of(trouble)) if trouble else None


def _room(board: Scoreboard) -> Room | None:
    steward = board.steward
    if not steward[Counter.STORAGE_TOTAL_BYTES]:
        return None
    return Room(
        steward[Counter.STORAGE_FREE_BYTES],
        steward[Counter.STORAGE_TOTAL_BYTES],
        steward[Counter.STORAGE_RESERVE_BYTES],
        bool(steward[Counter.STORAGE_IS_FULL]),
    )


def _database(board: Scoreboard) -> DatabaseCondition:
    (registration,) = board.of_role(Role.REGISTRATION)
    down_since = registration[Counter.DATABASE_DOWN]
    is_known = bool(registration[Counter.DATABASE_UP] or down_since)
    return DatabaseCondition(is_known, _moment(down_since), registration.note if down_since else "")


def _moment(seconds: int) -> datetime.datetime | None:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC) if seconds else None
