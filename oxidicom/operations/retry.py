"""`oxidicom retry`: puts what was set aside back into the spool, so that it is stored and registered again."""

import contextlib
import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from oxidicom.errors import OperationError
from oxidicom.spool.gateway_directory import GatewayDirectory, aside_directories
from oxidicom.spool.names import EntryName
from oxidicom.spool.put_back import Plan, is_in_a_spool, plan_for, put_back, sole_use_of
from oxidicom.spool.set_aside import ThingSetAside, associations_set_aside, forget_reasons, set_aside_of

_MAX_LINES = 20


def run_retry(files_root: str, association: str | None, dry_run: bool, console: Console) -> int:
    """Put back everything, or only that of one association; with `dry_run` only say what would be done.

    Print what was put back, and what was not and why. Return the exit status: 1 when anything was left. Raise
    OperationError, BootError or OSError.
    """
    plans: list[Plan] = []
    for aside in filter(os.path.isdir, aside_directories(files_root)):
        with contextlib.nullcontext() if dry_run else sole_use_of(aside):
            chosen = [one for one in associations_set_aside(aside) if association in (None, one)]
            plans += (_look if dry_run else _put_back)(files_root, aside, chosen)
    if association and not plans:
        raise OperationError(f"nothing of an association {association} is set aside; `oxidicom status` lists what is")
    return _report(plans, dry_run, console)


def _look(files_root: str, aside: str, associations: Sequence[str]) -> list[Plan]:
    return [_unfinished(aside, one) if is_in_a_spool(files_root, one) else plan_for(aside, one) for one in associations]


def _put_back(files_root: str, aside: str, associations: Sequence[str]) -> list[Plan]:
    if not associations:
        return []
    plans = []
    directory = GatewayDirectory(files_root).make()
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
    return plans


def _unfinished(aside: str, association: str) -> Plan:
    """An association that stands in a spool is left alone: its workers may be setting more aside."""
    reason = "its association is not finished in the spool of a gateway: try again later"
    return Plan(association, left=[(one, reason) for one in set_aside_of(aside, association)])


def _report(plans: Sequence[Plan], dry_run: bool, console: Console) -> int:
    if not plans:
        console.print("Nothing is set aside.")
        return 0
    table = Table("association", "instances", "metadata", "left", title="oxidicom retry")
    for plan in plans:
        instances = sum(isinstance(one.name, EntryName) for one in plan.files)
        table.add_row(plan.association, str(instances), str(len(plan.files) - instances), str(len(plan.left)))
    console.print(table)
    put, left = sum(len(plan.files) for plan in plans), [pair for plan in plans for pair in plan.left]
    _explain(left, console)
    if put:
        console.print(
            f"{put} would be put back."
            if dry_run
            else f"{put} put back: a running gateway takes them up within a minute, a stopped one at its start. "
            "What is refused again is set aside again."
        )
    return 1 if left else 0


def _explain(left: Sequence[tuple[ThingSetAside, str]], console: Console) -> None:
    for one, reason in left[:_MAX_LINES]:
        console.print(
            f"left: {one.association}/{one.file_name}: {reason}", soft_wrap=True, highlight=False, markup=False
        )
    if len(left) > _MAX_LINES:
        console.print(f"left: … and {len(left) - _MAX_LINES} more")
