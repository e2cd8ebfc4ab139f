"""`make foreign-clients`: fetches the clients, lets each send in every mode that it has, and prints a table."""

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.foreign.clients import TLS, Client, Job, foreign_clients
from tests.foreign.files import make_files
from tests.foreign.install import install
from tests.foreign.peers import Receiver, make_certificates, receivers
from tests.foreign.trial import Outcome, measure, try_mode

_ROOT = Path(__file__).parents[2]
_DIRECTORY = _ROOT / ".foreign"
_DOCS = _ROOT / "docs" / "conformance.md"


def main() -> int:
    """Run all trials; return 1 if one is not as it has to be."""
    arguments = _arguments()
    console = Console(width=max(120, Console().width))
    warnings.simplefilter("ignore")  # pydicom warns of what is odd in its odd files
    if not arguments.no_install:
        install(_DIRECTORY, lambda line: console.print(line, markup=False))
    clients = [client for client in foreign_clients(_DIRECTORY) if _is_wanted(client, arguments.only, console)]
    base = Path(tempfile.mkdtemp(prefix="oxidicom-foreign-"))
    base.chmod(0o755)  # as root, PostgreSQL runs as another user
    try:
        outcomes = _run(base, clients, console)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    console.print(_table(outcomes))
    if arguments.write_docs:
        _write_docs(outcomes)
    _tell_trouble(outcomes, console)
    wrong = [outcome for outcome in outcomes if not outcome.is_right]
    console.print(f"{len(outcomes) - len(wrong)} passed, {len(wrong)} failed")
    return bool(wrong)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.foreign", description=__doc__)
    parser.add_argument("--no-install", action="store_true", help="only the clients that are there")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/conformance.md")
    parser.add_argument("--only", default="", metavar="NAME", help="only clients whose name has NAME in it")
    return parser.parse_args()


def _is_wanted(client: Client, only: str, console: Console) -> bool:
    if only.lower() not in client.name.lower():
        return False
    if not client.is_there:
        console.print(f"{client.name} is not there", markup=False)
    return client.is_there


def _run(base: Path, clients: list[Client], console: Console) -> list[Outcome]:
    files = make_files(base / "files")
    certificates = base / "certificates"
    make_certificates(certificates)
    outcomes = []
    with receivers(base, certificates) as (plain, encrypted):
        for number, client in enumerate(clients):
            began = time.monotonic()
            job = Job(0, f"FOREIGN{number}", files, certificates)
            outcomes += _run_client(client, job, base / f"storescp-{number}", plain, encrypted)
            console.print(f"{client.name}: {time.monotonic() - began:.0f} s", markup=False)
    return outcomes


def _run_client(client: Client, job: Job, directory: Path, plain: Receiver, encrypted: Receiver) -> list[Outcome]:
    measured = measure(client, job, directory)
    outcomes = []
    for number, mode in enumerate(client.modes):
        receiver = encrypted if mode == TLS else plain
        one = Job(receiver.port, f"{job.ae_title}-{number}", job.files, job.certificates)
        outcomes.append(try_mode(client, mode, one, receiver, measured))
    return outcomes


_COLUMNS = ("client", "mode", "sent", "stored", "its own limit", "bytes equal", "values equal", "rows equal")


def _cells(one: Outcome) -> tuple[str, ...]:
    same = f"{one.same_as_file + one.same_as_sent}"
    if one.same_as_sent:
        same += f" ({one.same_as_sent} as it encodes them)"
    figures = (one.sent, one.stored, one.own_limit or "", same, one.same_values or "", one.rows)
    return one.client, one.mode, *map(str, figures)


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(*_COLUMNS)
    for one in outcomes:
        table.add_row(*_cells(one), style=None if one.is_right else "red")
    return table


def _write_docs(outcomes: list[Outcome]) -> None:
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_cells, outcomes)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    before, begin, rest = _DOCS.read_text().partition("<!-- foreign clients: begin -->\n")
    _, end, after = rest.partition("<!-- foreign clients: end -->")
    _DOCS.write_text(f"{before}{begin}{table}\n{end}{after}")


def _tell_trouble(outcomes: list[Outcome], console: Console) -> None:
    for one in outcomes:
        if not one.is_right:
            for line in one.trouble[:12]:
                console.print(f"{one.client}, {one.mode}: {line}", markup=False)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
