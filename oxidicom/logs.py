"""Logs: one sentence and a stable `action=` a line, with the role and the association it speaks of.

Readable on a terminal, JSON lines elsewhere. The processes inherit the sink and say in whose name they write. No line
at INFO and above holds patient data; variables are never dumped (`diagnose=False`), and a traceback shows only when
verbose. Nobody ever waits for whoever reads them (`oxidicom.log_stream`).
"""

import json
import logging
import sys
from typing import TYPE_CHECKING, Any, Literal

from loguru import logger

from oxidicom.log_stream import MAX_LINE_BYTES, LogStream

if TYPE_CHECKING:
    from loguru import Message, Record

_CUT = " [cut]"

LogFormat = Literal["auto", "text", "json"]

_TEXT = (
    "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <7}</level> <cyan>{extra[role]: <14}</cyan> "
    "{message} <dim>{extra[fields]}</dim>"
)


def writes_text(log_format: LogFormat) -> bool:
    """Tell whether lines are for people: `text`, or `auto` on a terminal."""
    return log_format == "text" or (log_format == "auto" and sys.stderr.isatty())


def configure_logs(role: str, log_format: LogFormat, verbose: bool) -> None:
    """Send this program's lines to standard error, in the name of `role`. Call it once, before the first fork."""
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)  # libraries report through us, or not at all
    logger.remove()
    level = "DEBUG" if verbose else "INFO"
    options: dict[str, Any] = {"level": level, "backtrace": False, "diagnose": False, "catch": True}
    rename_role(role)
    if writes_text(log_format):
        logger.configure(patcher=_join_fields)
        logger.add(sys.stderr, format=_text_format(verbose), **options)
    else:
        logger.add(_write_json, **options)


def rename_role(role: str) -> None:
    """Write in the name of `role` from now on. A forked process calls it: a sink of its own would cost it 1 MB."""
    logger.configure(extra={"role": role})


def _text_format(verbose: bool) -> Any:  # noqa: ANN401 (loguru's format function)
    ending = "\n{exception}" if verbose else "\n"
    return lambda record: _TEXT + ending


def _join_fields(record: "Record") -> None:
    fields = {name: value for name, value in record["extra"].items() if name not in ("role", "fields")}
    record["extra"]["fields"] = printable(" ".join(f"{name}={value}" for name, value in fields.items()))
    record["message"] = printable(record["message"])


def printable(text: str) -> str:
    """An AE title can be any 16 bytes: a line break would fake a line, an escape sequence talk to the terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _write_json(message: "Message") -> None:
    record = message.record
    line = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        **record["extra"],
    }
    sys.stderr.write(_fitting(line) + "\n")
    sys.stderr.flush()


def _fitting(line: dict[str, Any]) -> str:
    """Return `line` as JSON that is not longer than a line may be: its longest texts are cut."""
    while len(text := json.dumps(line, default=str)) >= MAX_LINE_BYTES:
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
