"""Logs: one sentence and a stable `action=` a line, with the role and the association it speaks of.

Readable on a terminal, JSON lines elsewhere. The processes inherit the sink and say in whose name they write. No line
at INFO and above holds patient data; variables are never dumped (`diagnose=False`), and a traceback shows only when
verbose. Nobody ever waits for whoever reads them (`oxidicom.log_stream`).
"""

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Literal

from loguru import logger

from oxidicom.log_stream import MAX_LINE_BYTES, LogStream

if TYPE_CHECKING:
    from loguru import Message, Record

_CUT = " [cut]"

LogFormat = Literal["auto", "text", "json"]

_PRIORITIES = {"DEBUG": "<7>", "INFO": "<6>", "WARNING": "<4>", "ERROR": "<3>", "CRITICAL": "<2>"}
"""What begins a line that the journal is to know the priority of (sd-daemon(3))."""
_LONGEST_JSON = MAX_LINE_BYTES - len("<4>")

_TEXT = (
    "<green>{time:YYYY-MM-DD HH:mm:ss}</green> <level>{level: <7}</level> <cyan>{extra[role]: <14}</cyan> "
    "{message} <dim>{extra[fields]}</dim>"
)


_NOTHING: tuple[object, ...] = ("", {}, None)
_NOT_SHOWN = ("role", "fields", "action")
"""Fields that a person needs no copy of; `action` is for programs."""


def writes_text(log_format: LogFormat) -> bool:
    """Tell whether lines are for people: `text`, or `auto` on a terminal."""
    return log_format == "text" or (log_format == "auto" and sys.stderr.isatty())


def is_journal(journal_stream: str) -> bool:
    """Tell whether standard error leads to the journal, by the value of JOURNAL_STREAM (systemd.exec(5)).

    The variable is inherited by whoever is started with another standard error, so device and inode are compared.
    """
    status = os.fstat(2)
    return journal_stream == f"{status.st_dev}:{status.st_ino}"


def configure_logs(role: str, log_format: LogFormat, verbose: bool, *, to_journal: bool = False) -> None:
    """Send this program's lines to standard error, in the name of `role`. Call it once, before the first fork.

    With `to_journal` each line begins with its priority.
    """
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)  # libraries report through us, or not at all
    logger.remove()
    level = "DEBUG" if verbose else "INFO"
    options: dict[str, Any] = {"level": level, "backtrace": False, "diagnose": False, "catch": True}
    rename_role(role)
    if writes_text(log_format):
        logger.configure(patcher=_join_fields)
        sink: Any = _write_with_priority if to_journal else sys.stderr
        logger.add(sink, format=_text_format(verbose), colorize=not to_journal and sys.stderr.isatty(), **options)
    else:
        logger.add(_write_json_with_priority if to_journal else _write_json, **options)


def rename_role(role: str) -> None:
    """Write in the name of `role` from now on. A forked process calls it: a sink of its own would cost it 1 MB."""
    logger.configure(extra={"role": role})


def _text_format(verbose: bool) -> Any:  # noqa: ANN401 (loguru's format function)
    ending = "\n{exception}" if verbose else "\n"
    return lambda record: _TEXT + ending


def _join_fields(record: "Record") -> None:
    said = record["message"]
    fields = {
        name: value
        for name, value in record["extra"].items()
        if name not in _NOT_SHOWN
        and value not in _NOTHING
        and str(value) not in said  # what the sentence says already is not said again
    }
    record["extra"]["fields"] = printable(" ".join(f"{name}={value}" for name, value in fields.items()))
    record["message"] = printable(said)


def printable(text: str) -> str:
    """An AE title can be any 16 bytes: a line break would fake a line, an escape sequence talk to the terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _write_json(message: "Message") -> None:
    sys.stderr.write(_json_of(message.record) + "\n")
    sys.stderr.flush()


def _write_json_with_priority(message: "Message") -> None:
    _write_lines(message.record, _json_of(message.record))


def _write_with_priority(message: "Message") -> None:
    _write_lines(message.record, str(message))


def _write_lines(record: "Record", text: str) -> None:
    """Write `text`; the journal makes an entry of each of its lines, so each needs the priority."""
    priority = _PRIORITIES.get(record["level"].name, _PRIORITIES["INFO"])
    sys.stderr.write("".join(f"{priority}{line}\n" for line in text.splitlines()))
    sys.stderr.flush()


def _json_of(record: "Record") -> str:
    line = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        **record["extra"],
    }
    return _fitting(line)


def _fitting(line: dict[str, Any]) -> str:
    """Return `line` as JSON that is not longer than a line may be: its longest texts are cut."""
    while len(text := json.dumps(line, default=str)) >= _LONGEST_JSON:
        longest = max(line, key=lambda name: len(str(line[name])))
        value = str(line[longest])
        if len(value) <= len(_CUT):
            break  # there is nothing but short ones
        line[longest] = value[: (len(value) - len(_CUT)) // 2] + _CUT
    return text


def report_dropped_lines() -> None:
    """Say how many lines were lost, once whoever reads standard error takes some again."""
    stream = getattr(sys.stderr, "buffer", None)
    if not isinstance(stream, LogStream) or not (dropped := stream.take_dropped()):
        return
    before = stream.dropped_here
    logger.warning(
        "{count} log lines were lost because their reader did not take them; check what reads the log",
        count=dropped,
        action="log_lines_dropped",
    )
    if stream.dropped_here != before:
        stream.count_dropped(dropped)  # not even that was taken
