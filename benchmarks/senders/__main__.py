"""The command line of the table of senders: `python -m benchmarks.senders --help`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from benchmarks.command_line import console, ending_in_order, known, require_directory
from benchmarks.senders.files import SIZES
from benchmarks.senders.pacs import ORTHANC_MOVE, ORTHANC_PUSH
from benchmarks.senders.programs import PROGRAMS
from benchmarks.senders.receivers import RECEIVERS
from benchmarks.senders.session import Session

_SENDERS: Sequence[str] = (*(program.name for program in PROGRAMS), ORTHANC_PUSH, ORTHANC_MOVE)
_SIZES = tuple(SIZES)
_ASSOCIATIONS = (1, 8)
_ROUNDS = 3


def main(  # noqa: PLR0913, PLR0917 (one for each option)
    quick: Annotated[bool, typer.Option("--quick", help="10 KB, one association, one round: a look.")] = False,
    sender: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Only this; may be repeated. {', '.join(_SENDERS)}.")
    ] = None,
    receiver: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Only this; may be repeated. {', '.join(RECEIVERS)}.")
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Only this; may be repeated. {', '.join(_SIZES)}.")
    ] = None,
    associations: Annotated[
        list[int] | None, typer.Option(min=1, help="Only so many at once; may be repeated. By default 1 and 8.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often each cell is measured, by default 3.")] = None,
    delay: Annotated[
        float,
        typer.Option(
            min=0, metavar="MS", help="Of each packet between sender and receiver: takes root (sudo unshare --net)."
        ),
    ] = 0.0,
    directory: Annotated[
        str, typer.Option(metavar="PATH", help="Where everything is written: on the disk that is meant.")
    ] = "/var/tmp",
    name: Annotated[str, typer.Option(help="Of the file with the results, by default the time.")] = "",
) -> None:
    """Measure what senders of others reach with each receiver: tables here; JSON in benchmarks/results/."""
    require_directory(directory)
    session = Session(
        senders=known(sender or _SENDERS, _SENDERS, "sender"),
        receivers=known(receiver or RECEIVERS, RECEIVERS, "receiver"),
        sizes=known(size or _SIZES[: 1 if quick else None], _SIZES, "size"),
        associations=associations or _ASSOCIATIONS[: 1 if quick else None],
        rounds=rounds or (1 if quick else _ROUNDS),
        directory=directory,
        name=name,
        delay_ms=delay,
    )
    with ending_in_order():
        session.run(console())


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
