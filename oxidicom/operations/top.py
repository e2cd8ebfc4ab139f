"""`oxidicom top`: a running gateway, live in the terminal. It only reads."""

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.text import Text

from oxidicom.errors import OperationError
from oxidicom.logs import printable
from oxidicom.operations.live_status import LiveStatus, Page, status_address
from oxidicom.operations.running_here import ports_here
from oxidicom.operations.status import run_status
from oxidicom.operations.status_reasons import Expectations
from oxidicom.operations.top_frame import frame
from oxidicom.settings import Settings, page_address


def run_top(settings: Settings, url: str, interval_seconds: float, once: bool, console: Console) -> int:
    """Show the gateway until q or Ctrl-C; one frame `once`, or where no terminal is. Return the exit status.

    That of one frame is the judgement's: 0 OK, 1 warning, 2 critical. Raise OperationError or OSError.
    """
    if not (url or settings.http_port):
        print(
            "oxidicom: the live view needs the page of the gateway: set CHRIS_HTTP_PORT (8080, for example) and "
            "restart it. This is what `oxidicom status` knows:",
            file=sys.stderr,
        )
        return run_status(settings, Expectations(), False, console)
    address = status_address(url or page_address(settings))
    page = Page(address) if url else Page(address, ports_here(settings.files_root) or [settings.port])
    if once or not console.is_terminal or console.is_dumb_terminal:
        status = page.fetch()
        console.print(frame(status, None, None))
        return status.judgement.level.exit_status
    with contextlib.suppress(KeyboardInterrupt):
        _follow(page, interval_seconds, console)
    return 0


def _follow(page: Page, interval_seconds: float, console: Console) -> None:
    """Show a new frame each interval until q is pressed. A gateway that does not answer is asked again."""
    status: LiveStatus | None = None
    before: LiveStatus | None = None
    with _keys() as is_over, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            trouble = ""
            try:
                status, before = page.fetch(), status
            except OperationError as error:
                trouble = str(error)
            if status:
                live.update(frame(status, before, console.height - 1, trouble), refresh=True)
            else:
                live.update(Text(printable(f"{trouble}; q ends, else it is tried again")), refresh=True)
            if is_over(interval_seconds):
                return


class _Keyboard:
    """Waits for q on a terminal; without one it only waits."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, seconds: float) -> bool:
        """Wait for so long at most. Return whether q was pressed, or the terminal is gone."""
        deadline = time.monotonic() + seconds
        if self._descriptor is None:
            time.sleep(seconds)
            return False
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._descriptor], [], [], left)[0] and os.read(self._descriptor, 1) in (b"q", b"Q", b""):
                return True
        return False


@contextlib.contextmanager
def _keys() -> Iterator[_Keyboard]:
    """Have keys come one by one and unseen while it lasts."""
    if not sys.stdin.isatty():
        yield _Keyboard(None)
        return
    descriptor = sys.stdin.fileno()
    attributes = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield _Keyboard(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)
