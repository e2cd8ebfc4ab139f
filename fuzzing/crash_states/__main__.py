"""The command line: `python -m fuzzing.crash_states --help`."""

import os
import pickle
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fuzzing.crash_states.campaign import Campaign, Examiner, Outcome, by_kind, directory
from fuzzing.crash_states.mutants import MUTANTS
from fuzzing.crash_states.recording import Recording, RecordingError, record
from fuzzing.crash_states.scenario import Scenario, all_scenarios
from fuzzing.crash_states.tables import make_database, server
from oxidicom.embedded.server import EmbeddedPostgres

_SHOWN = 3
_NEEDED = "strace"
_TRIES = 3


def main(  # noqa: PLR0913, PLR0917 (one for each option)
    states: Annotated[int, typer.Option(min=1, help="How many states in all, shared by the recordings.")] = 100_000,
    scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this; may be repeated. Such as sync+links+flat; all by default."),
    ] = None,
    recordings: Annotated[int, typer.Option(min=1, help="Of each scenario, each with another load.")] = 1,
    associations: Annotated[int, typer.Option(min=2, help="Of each of the three senders of a recording.")] = 6,
    mutant: Annotated[
        str, typer.Option(metavar="NAME", help=f"A gateway that is broken on purpose: {', '.join(MUTANTS)}.")
    ] = "",
    whole: Annotated[
        int, typer.Option(min=0, help="Of each recording so many states also by the command of the gateway.")
    ] = 10,
    seed: Annotated[str, typer.Option(help="The same seed makes the same choices of a recording.")] = "1",
    processes: Annotated[int, typer.Option(min=1, help="Processes that examine states.")] = 2 * (os.cpu_count() or 1),
    keep: Annotated[
        str, typer.Option(metavar="PATH", help="Directory for the recordings in which something was found.")
    ] = ".crash_states",
    again: Annotated[
        str, typer.Option(metavar="FILE:SEED", help="Look at one state of a recording that was kept, and nothing else.")
    ] = "",
) -> None:
    """Record gateways under load; have the power fail at any moment; see whether what was promised is kept."""
    console = Console()
    if shutil.which(_NEEDED) is None:
        console.print(f"{_NEEDED} is missing: apt-get install {_NEEDED}")
        raise typer.Exit(2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left behind, least of all memory
    with directory() as path, server(os.path.join(path, "postgres")) as postgres:
        if again:
            _look_again(console, postgres, path, again)
            return
        wanted = [one for one in all_scenarios(may_mount=os.geteuid() == 0) if not scenario or str(one) in scenario]
        if not wanted:
            raise typer.BadParameter(f"{scenario}: no such scenario")
        plans = [(one._replace(mutant=mutant), f"{seed}/{number}") for number in range(recordings) for one in wanted]
        found = False
        began, total, distinct = time.monotonic(), 0, 0
        try:
            for at, (one, its_seed) in enumerate(plans):
                share = states * (at + 1) // len(plans) - states * at // len(plans)
                outcome = _examine(console, postgres, one, its_seed, associations, share, whole, processes, keep)
                found |= bool(outcome.findings)
                total, distinct = total + outcome.states, distinct + len(outcome.digests)
        except RecordingError as error:
            console.print(f"{one}, seed {its_seed}: nothing was recorded: {error}", soft_wrap=True)
            raise typer.Exit(2) from error
        finally:  # also of a run that is stopped: each recording that is done counts
            rate = total / (time.monotonic() - began)
            console.print(f"{total:,} states, {distinct:,} of them distinct, {rate:.0f} a second, recording included")
        raise typer.Exit(int(found))


def _examine(  # noqa: PLR0913, PLR0917
    console: Console,
    postgres: EmbeddedPostgres,
    scenario: Scenario,
    seed: str,
    associations: int,
    states: int,
    whole: int,
    processes: int,
    keep: str,
) -> Outcome:
    recording = _record(scenario, seed, postgres, associations)
    began = time.monotonic()
    with Progress(
        TextColumn(str(scenario)), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[wrong]} wrong"),
        TimeRemainingColumn(), console=console,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=states + whole, wrong=0)
        outcome = Campaign(recording, postgres, seed, processes).run(
            states,
            whole=whole,
            on_progress=lambda done, wrong: progress.update(task, completed=done, wrong=wrong),
        )
    rate = outcome.states / (time.monotonic() - began)
    console.print(
        f"{scenario}, seed {seed}: {len(recording.history.moments)} changes and syncs; {outcome.states} states, "
        f"{len(outcome.digests)} distinct, {rate:.0f} a second; {len(outcome.findings)} wrong"
    )
    if outcome.findings:
        _tell(console, recording, outcome, keep)
    return outcome


def _record(scenario: Scenario, seed: str, postgres: EmbeddedPostgres, associations: int) -> Recording:
    """Record; once more if the trace leaves open in which order two calls were done."""
    for tries_left in reversed(range(_TRIES)):
        with directory() as place:
            try:
                return record(scenario, seed, postgres, place, associations)
            except RecordingError:
                if not tries_left:
                    raise
    raise AssertionError("the last try returns or raises")


def _tell(console: Console, recording: Recording, outcome: Outcome, keep: str) -> None:
    os.makedirs(keep, exist_ok=True)
    descriptor, path = tempfile.mkstemp(prefix=f"{recording.scenario}-", suffix=".recording", dir=keep)
    os.close(descriptor)
    recording.save(path)
    for wrong, count in by_kind(outcome.findings).most_common():
        seeds = [finding.seed for finding in outcome.findings if wrong in finding.wrong][:_SHOWN]
        console.print(f"  {count} × {wrong}; --again {path}:{seeds[0]}", soft_wrap=True)


def _look_again(console: Console, postgres: EmbeddedPostgres, path: str, again: str) -> None:
    file, _, seed = again.partition(":")
    recording: Recording = pickle.loads(Path(file).read_bytes())  # noqa: S301 (it is our own)
    examiner = Examiner(recording, make_database(postgres, recording.scenario.schema), path)
    state, rows = examiner.state(seed.removeprefix("whole:"))
    console.print(f"{len(state.names)} names, {state.lost_names} changes of names and {state.lost_contents} files cut;")
    console.print(f"{len(rows)} rows; by table: {dict(Counter(row.table for row in rows))}")
    _, wrong = examiner.examine(seed.removeprefix("whole:"), whole=seed.startswith("whole:"))
    for line in examiner.lines:
        console.print(f"  the gateway: {line}", soft_wrap=True)
    for one in wrong or ["nothing is wrong"]:
        console.print(one, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
