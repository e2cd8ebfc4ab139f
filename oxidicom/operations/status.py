"""`oxidicom status`: the judgement, what waits, since when, what was set aside, and why."""

from rich.console import Console

from oxidicom.operations.printing import print_json
from oxidicom.operations.status_look import look
from oxidicom.operations.status_reasons import Expectations
from oxidicom.operations.status_report import print_status
from oxidicom.settings import Settings


def run_status(settings: Settings, expectations: Expectations, as_json: bool, console: Console) -> int:
    """Print the status, as tables or as JSON. Return the exit status: 0 OK, 1 warning, 2 critical."""
    status = look(settings, expectations)
    if as_json:
        print_json(status)
    else:
        print_status(status, console)
    return status.judgement.level.exit_status
