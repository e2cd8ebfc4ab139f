"""`oxidicom retry`: puts what was set aside back into the spool, so that it is stored and registered again."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from oxidicom.errors import OperationError
from oxidicom.storage.gateway_directory import GatewayDirectory, rejected_directory
from oxidicom.storage.names import EntryName
from oxidicom.storage.put_back import Plan, is_in_a_spool, plan_for, put_back, sole_use_of
from oxidicom.storage.rejected import Rejected, forget_reasons, rejected_associations, rejected_of

_MOST_LINES = 20


def run_retry(files_root: str, association: str | None, dry_run: bool, console: Console) -> int:
    """Put back everything, or only that of one association; with `dry_run` only say what would be done.

    Print what was put back, and what was not and why. Return the exit status: 1 when anything was left. Raise
    OperationError, BootError or OSError.
    """
    rejected = rejected_directory(files_root)
    associations = rejected_associations(rejected)
    if association is not None:
        if association not in associations:
            raise OperationError(
                f"nothing of an association {association} is set aside; `oxidicom status` lists what is"
            )
        associations = [association]
    if not associations:
        console.print("Nothing is set aside.")
        return 0
    with sole_use_of(rejected):
        if dry_run:
            plans = [_plan(files_root, rejected, one) for one in associations]
        else:
            plans = _put_back(files_root, rejected, associations)
    return _report(plans, dry_run, console)


def _plan(files_root: str, rejected: str, association: str) -> Plan:
    """Plan for one association. One that is not finished is left: it may still get files set aside."""
    if not is_in_a_spool(files_root, association):
        return plan_for(rejected, association)
    reason = "its association is not finished in the spool of a gateway: try again later"
    return Plan(association, left=[(one, reason) for one in rejected_of(rejected, association)])


def _put_back(files_root: str, rejected: str, associations: Sequence[str]) -> list[Plan]:
    plans = []
    directory = GatewayDirectory(files_root)
    try:
        for association in associations:
            plan = _plan(files_root, rejected, association)
            if plan.files:
                put_back(plan, directory.spool, rejected)
            elif not plan.left:
                forget_reasons(rejected, association)  # left over by a retry that was killed
            plans.append(plan)
    finally:
        directory.release()
    return plans


def _report(plans: Sequence[Plan], dry_run: bool, console: Console) -> int:
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


def _explain(left: Sequence[tuple[Rejected, str]], console: Console) -> None:
    for one, reason in left[:_MOST_LINES]:
        console.print(
            f"left: {one.association}/{one.file_name}: {reason}", soft_wrap=True, highlight=False, markup=False
        )
    if len(left) > _MOST_LINES:
        console.print(f"left: … and {len(left) - _MOST_LINES} more")
