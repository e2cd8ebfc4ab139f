"""`oxidicom retry`: puts what was set aside back into the spool, so that it is stored and registered again."""

import contextlib
import os
from collections.abc import Sequence

import msgspec
from rich.console import Console

from oxidicom.errors import OperationError
from oxidicom.operations.left_things import LeftThing, left_thing, require_some, require_storage, tell_of_things
from oxidicom.operations.printing import TextTable, print_json, say
from oxidicom.operations.retry_outcome import Outcome, outcome_of
from oxidicom.spool.gateway_directory import GatewayDirectory, aside_directories, gateway_paths, is_running
from oxidicom.spool.names import EntryName
from oxidicom.spool.put_back import Plan, is_in_a_spool, plan_for, put_back, sole_use_of, tell_of_put_back
from oxidicom.spool.set_aside import associations_set_aside, forget_reasons, set_aside_of
from oxidicom.wording import counted, duration


class Retry(msgspec.Struct, frozen=True):
    """What is wanted."""

    association: str | None = None
    """None: everything."""
    dry_run: bool = False
    wait_seconds: float = 0.0
    """Wait so long for what was put back; 0: do not wait."""
    as_json: bool = False


class AssociationPutBack(msgspec.Struct, frozen=True):
    """What was put back of an association."""

    association: str
    instances: int
    metadata: int


class Report(msgspec.Struct, frozen=True):
    """The JSON form."""

    dry_run: bool
    put_back: list[AssociationPutBack]
    left: list[LeftThing]
    registered: int | None
    """None: it was not waited for, as in the two that follow."""
    set_aside_again: list[LeftThing] | None
    unfinished: int | None


def run_retry(files_root: str, wanted: Retry, console: Console) -> int:
    """Put back everything, or only that of one association; with `dry_run` only say what would be done.

    Print what was put back, what was not and why, and, if it is waited for, what became of it. Return the exit status:
    1 when anything was left, set aside again, or not finished. Raise OperationError, BootError or OSError.
    """
    require_storage(files_root)
    plans: list[Plan] = []
    for aside in filter(os.path.isdir, aside_directories(files_root)):
        with contextlib.nullcontext() if wanted.dry_run else sole_use_of(aside):
            chosen = [one for one in associations_set_aside(aside) if wanted.association in (None, one)]
            plans += (_look if wanted.dry_run else _put_back)(files_root, aside, chosen)
    plans = [plan for plan in plans if plan.files or plan.left]
    require_some(wanted.association, plans)
    if not wanted.as_json:
        _print(plans, wanted, console)
    is_awaited = bool(wanted.wait_seconds) and not wanted.dry_run and any(plan.files for plan in plans)
    runs = is_awaited and any(map(is_running, gateway_paths(files_root)))
    outcome = _wait(files_root, plans, wanted, console) if runs else None
    if wanted.as_json:
        print_json(_report(plans, outcome, wanted))
    elif outcome:
        _print_outcome(outcome, console)
    if is_awaited and not runs:  # what was done has been told by now
        raise OperationError(
            "no gateway runs on this storage: what was put back is stored and registered after the next start"
        )
    is_good = outcome is None or not (outcome.set_aside_again or outcome.unfinished)
    return 0 if is_good and not any(plan.left for plan in plans) else 1


def _look(files_root: str, aside: str, associations: Sequence[str]) -> list[Plan]:
    return [_unfinished(aside, one) if is_in_a_spool(files_root, one) else plan_for(aside, one) for one in associations]


def _put_back(files_root: str, aside: str, associations: Sequence[str]) -> list[Plan]:
    if not associations:
        return []
    plans = []
    directory = GatewayDirectory(files_root, put_back=True).make()
    try:
        for association in associations:
            if is_in_a_spool(files_root, association):
                plans.append(_unfinished(aside, association))
                continue
            plan = plan_for(aside, association)
            if plan.files:
                put_back(plan, directory.spool, aside)
            forget_reasons(aside, association)
            plans.append(plan)
    finally:
        directory.release()
        tell_of_put_back(files_root)
    return plans


def _unfinished(aside: str, association: str) -> Plan:
    """An association that stands in a spool is left alone: its workers may be setting more aside."""
    reason = "its association is not finished in the spool of a gateway: try again later"
    return Plan(association, left=[(one, reason) for one in set_aside_of(aside, association)])


def _wait(files_root: str, plans: Sequence[Plan], wanted: Retry, console: Console) -> Outcome:
    shown = Console(quiet=True) if wanted.as_json else console
    return outcome_of(files_root, plans, wanted.wait_seconds, shown)


def _report(plans: Sequence[Plan], outcome: Outcome | None, wanted: Retry) -> Report:
    return Report(
        wanted.dry_run,
        [AssociationPutBack(plan.association, _instances_of(plan), _values_of(plan)) for plan in plans if plan.files],
        [left_thing(one, reason) for plan in plans for one, reason in plan.left],
        outcome.registered if outcome else None,
        [left_thing(one, one.reason) for one in outcome.set_aside_again] if outcome else None,
        outcome.unfinished if outcome else None,
    )


def _instances_of(plan: Plan) -> int:
    return sum(isinstance(one.name, EntryName) for one in plan.files)


def _values_of(plan: Plan) -> int:
    return len(plan.files) - _instances_of(plan)


def _print(plans: Sequence[Plan], wanted: Retry, console: Console) -> None:
    if not plans:
        say(console, "Nothing is set aside.")
        return
    table = TextTable("oxidicom retry", "association", "instances", "metadata", "left", is_first_whole=True)
    for plan in plans:
        table.add(plan.association, str(_instances_of(plan)), str(_values_of(plan)), str(len(plan.left)))
    table.print(console)
    put = sum(len(plan.files) for plan in plans)
    tell_of_things("left", [pair for plan in plans for pair in plan.left], console)
    if put and wanted.dry_run:
        say(console, f"{put} would be put back.")
    elif put:
        say(
            console,
            f"{put} put back: a running gateway takes them up in a moment, a stopped one at its start. "
            "What is refused again is set aside again.",
        )


def _print_outcome(outcome: Outcome, console: Console) -> None:
    tell_of_things("set aside again", [(one, one.reason) for one in outcome.set_aside_again], console)
    say(console, f"{outcome.registered} registered, {len(outcome.set_aside_again)} set aside again")
    if outcome.unfinished:
        say(
            console,
            f"{counted(outcome.unfinished, 'thing')} not finished within {duration(outcome.waited_seconds)}: the "
            "gateway goes on with it; `oxidicom status` shows what it waits for",
        )
