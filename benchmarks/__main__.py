"""The command line of the benchmark: `python -m benchmarks --help`."""

import re
import shutil
from collections.abc import Sequence
from typing import Annotated

import typer

from benchmarks.command_line import console, ending_in_order, known, require_directory
from benchmarks.invocation import PLACEHOLDERS, Invocation, parse_invocation
from benchmarks.session import Session
from benchmarks.workloads import BASELINE, EVERYONE, GATEWAY, IDLE, QUICK, REGISTRATION, WORKLOADS

_NOBODY = "none"
_NAMES = [*(workload.name for workload in WORKLOADS), REGISTRATION, IDLE]
_TAKEN = (GATEWAY, BASELINE, *EVERYONE, _NOBODY)
_GUEST = "rust='PORT={port} FILES={files} DATABASE={database} /usr/local/bin/other-gateway --threads {listeners}'"
_IDLE_SECONDS, _QUICK_IDLE_SECONDS = 30.0, 10.0
_ROUNDS, _QUICK_ROUNDS = 5, 2


def main(  # noqa: PLR0913, PLR0917 (one for each option)
    quick: Annotated[bool, typer.Option("--quick", help="Four minutes instead of forty: a look, no result.")] = False,
    workload: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Only this; may be repeated. {', '.join(_NAMES)}.")
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=f"Only this; may be repeated. {', '.join(EVERYONE)}; {_NOBODY}."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Counted rounds, by default 5.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the gateway under test; may be repeated.")
    ] = None,
    baseline: Annotated[
        str, typer.Option(metavar="CHECKOUT", help="Another version of the gateway, to be measured beside this one.")
    ] = "",
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COMMAND",
            help="Another gateway that writes into a database of CUBE, measured beside this one until its last row is "
            f"visible; may be repeated. Such as {_GUEST}; "
            f"placeholders: {', '.join(PLACEHOLDERS)}.",
        ),
    ] = None,
    directory: Annotated[
        str, typer.Option(metavar="PATH", help="Where the servers write: on the disk that is meant.")
    ] = "/var/tmp",
    name: Annotated[str, typer.Option(help="Of the files with the results, by default the time.")] = "",
) -> None:
    """Measure this gateway beside its peers: tables here; plot and JSON in benchmarks/results/."""
    require_directory(directory)
    wanted = known(workload or (QUICK if quick else _NAMES), _NAMES, "workload")
    session = Session(
        workloads=wanted,
        peers=[one for one in known(peer or EVERYONE, (*EVERYONE, _NOBODY), "peer") if one != _NOBODY],
        rounds=rounds or (_QUICK_ROUNDS if quick else _ROUNDS),
        idle_seconds=(_QUICK_IDLE_SECONDS if quick else _IDLE_SECONDS) if IDLE in wanted else 0.0,
        is_quick=quick,
        settings=dict(map(_parse_setting, setting or ())),
        baseline=baseline,
        guests=_parse_guests(gateway or ()),
        directory=directory,
        name=name,
    )
    with ending_in_order():
        session.run(console())


def _parse_setting(text: str) -> tuple[str, str]:
    variable, sign, value = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"{text!r} is no setting; NAME=VALUE is expected, such as CHRIS_DB_POOL=4")
    return variable, value


def _parse_guests(texts: Sequence[str]) -> dict[str, Invocation]:
    """Return the other gateways by name."""
    guests: dict[str, Invocation] = {}
    for text in texts:
        name, sign, notation = text.partition("=")
        if not (sign and re.fullmatch(r"[\w.-]+", name)):
            raise typer.BadParameter(f"{text!r} is no gateway; NAME=COMMAND is expected, such as {_GUEST}")
        if name in _TAKEN or name in guests:
            raise typer.BadParameter(f"the name {name!r} is taken")
        try:
            guests[name] = parse_invocation(notation)
        except ValueError as error:
            raise typer.BadParameter(f"gateway {name!r} cannot be started: {error}") from None
        if not shutil.which(program := guests[name].command[0]):
            raise typer.BadParameter(f"gateway {name!r} cannot be started: there is no program {program}")
    return guests


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
