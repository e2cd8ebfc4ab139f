"""The command line. The only place that reads `os.environ`."""

import contextlib
import datetime
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NoReturn

import typer
import typer.core
import typer.main
from rich.console import Console

from oxidicom import __version__
from oxidicom.configuration.account import become
from oxidicom.configuration.env_file import overruled, read_env_file
from oxidicom.configuration.names import unknown_variables
from oxidicom.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    OperationError,
    OxidicomError,
)
from oxidicom.logs import printable
from oxidicom.paths.private_root import is_ulid
from oxidicom.serving import EX_CONFIG, examine_here, run_gateway
from oxidicom.setting_values import parse_ae_title
from oxidicom.settings import Settings
from oxidicom.wording import seconds_in

EX_UNKNOWN = 3
"""A command or an option is not known: UNKNOWN to Nagios and its kin, where 2 is critical and 64 (EX_USAGE) nothing."""


_WIDTH_OF_A_PIPE = 100_000
_UsageError: type[Any] = typer.BadParameter.__bases__[0]
"""Of typer's own copy of click, which has no public name."""


class _Group(typer.core.TyperGroup):
    """The commands. --env-file may stand before a command or after it."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 (they are those of typer)
        super().__init__(**attributes)
        shared = [parameter for parameter in self.params if parameter.name == "env_file"]
        for command in self.commands.values():
            command.params += shared

    def make_context(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 (they are those of typer)
        with _as_no_finding():
            return super().make_context(*arguments, **named)

    def invoke(self, context: Any) -> Any:  # noqa: ANN401
        with _as_no_finding():
            return super().invoke(context)


@contextlib.contextmanager
def _as_no_finding() -> Iterator[None]:
    """Let a command line that cannot be understood end with EX_UNKNOWN."""
    try:
        yield
    except _UsageError as error:
        error.exit_code = EX_UNKNOWN
        raise


_app = typer.Typer(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A DICOM gateway for ChRIS: receives instances by C-STORE, stores them, and registers them in CUBE's "
    "database. Without a command it serves. Its only configuration is environment variables, which may be in a file "
    "(--env-file); `oxidicom settings` shows them, and docs/settings.md describes them.",
)


def main() -> None:
    """Run the command line."""
    _app(prog_name="oxidicom")  # also as `python -m oxidicom`: the name of the variable for completions is made of it


def command_line() -> typer.Typer:
    """Return the command line itself."""
    return _app


def command_tree() -> typer.core.TyperGroup:
    """Return the commands with all that they say of themselves."""
    root = typer.main.get_command(_app)
    assert isinstance(root, typer.core.TyperGroup)
    return root


def _require_text(value: str) -> str:
    """Refuse bytes that are no text: nothing has such a name, and nothing could be asked for it."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter("it is not UTF-8") from error
    return value


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"oxidicom {__version__}")
        raise typer.Exit


def _use_env_file(context: typer.Context, path: str | None) -> None:
    if path is None or context.resilient_parsing:  # of a shell that completes a line
        return
    try:
        file = read_env_file(path)
    except ConfigurationError as error:
        _refuse(error.faults)
    for name in overruled(file.variables, os.environ):
        del os.environ[name]
    os.environ.update(file.variables)
    context.find_root().obj = dict.fromkeys(file.variables, path)
    if file.faults:
        _refuse([*file.faults, *(fault.sentence for fault in examine_here(os.environ)[1])])


@_app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    env_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            callback=_use_env_file,
            expose_value=False,
            help="Read variables from a file, in the syntax of systemd's EnvironmentFile=. They override the "
            "environment.",
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="As root: become this user after reading the file.")
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    if user is not None:
        _become(user)
    if context.invoked_subcommand is None:
        raise typer.Exit(run_gateway(_settings(), os.environ))


@_app.command()
def serve() -> None:
    """Receive, store and register until SIGTERM or SIGINT (the same as no command)."""
    raise typer.Exit(run_gateway(_settings(), os.environ))


_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@_app.command()
def check(as_json: _Json = False) -> None:
    """Check the configuration and everything that it points at.

    Exit status 0: all can be used; 1: warning; 2: critical, the gateway could not work; 78: the configuration has
    errors.
    """
    from oxidicom.operations.check import run_checks  # noqa: PLC0415 (brings pynetdicom, which serving does without)

    settings = _settings()
    raise typer.Exit(run_checks(settings, unknown_variables(os.environ), as_json, _console()))


@_app.command("send-test")
def send_test(
    calling: Annotated[
        str,
        typer.Option(
            metavar="AET",
            callback=_require_text,
            help="Calling AE title, if CHRIS_SCP_ALLOWED_AETS does not let everybody send.",
        ),
    ] = "OXIDICOM-TEST",
    host: Annotated[
        str,
        typer.Option(
            callback=_require_text, help="Host of the gateway, or of its load balancer; by default this host."
        ),
    ] = "",
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Its port; by default PORT.")] = None,
    at_most: Annotated[str, typer.Option(help="Maximum time: 90s, 2min.")] = "60s",
    as_json: _Json = False,
) -> None:
    """Send a test instance through the gateway's own port, and follow it to its file and to its row in CUBE.

    Asks each PACS of CHRIS_PACS_ADDRESS by C-ECHO too. Says what it left behind.
    Exit status 0: all went well; 1: warning, a PACS does not answer; 2: critical, the instance did not arrive.
    """
    from oxidicom.operations.send_test import Target, run_send_test  # noqa: PLC0415 (brings pynetdicom)

    try:
        calling = parse_ae_title(calling)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--calling'") from error
    target = Target(calling, host, port, _seconds(at_most, "'--at-most'"))
    _operate(lambda settings: run_send_test(settings, target, as_json, _console()))


@_app.command("settings")
def settings_(context: typer.Context, as_json: _Json = False) -> None:
    """Show each setting: its value, where it comes from, and its default. Secrets are not shown.

    Through a pipe, and on a narrow terminal, each setting is one line of three fields, separated by tabs: NAME=value,
    where it comes from, and its default.

    Exit status 0: the gateway could start with them; 78: they have errors, which are printed.
    """
    from oxidicom.operations.show_settings import print_settings, show_settings  # noqa: PLC0415 (as above)

    examined = examine_here(os.environ)
    shown = show_settings(os.environ, context.find_root().obj or {}, examined, unknown_variables(os.environ))
    print_settings(shown, as_json, _console())
    raise typer.Exit(EX_CONFIG if examined[1] else 0)


@_app.command()
def status(
    as_json: _Json = False,
    max_age: Annotated[
        str, typer.Option(help="A wait this long is critical, a quarter of it a warning: 90s, 15min, 2h, 1d.")
    ] = "1h",
    expect_running: Annotated[
        bool, typer.Option("--expect-running", help="Critical if no gateway runs on this storage.")
    ] = False,
) -> None:
    """Judge the gateway, and show what waits, since when, and what was set aside and why.

    Only reads; works with or without a running gateway. Exit status 0: OK; 1: warning (something waits, was set aside,
    or will break); 2: critical (instances are refused, or nothing moves until somebody acts).
    """
    from oxidicom.operations.status import run_status  # noqa: PLC0415 (serving does without it)
    from oxidicom.operations.status_reasons import Expectations  # noqa: PLC0415

    expectations = Expectations(_seconds(max_age, "'--max-age'"), expect_running)
    _operate(lambda settings: run_status(settings, expectations, as_json, _console()))


@_app.command()
def retry(
    association: Annotated[
        str | None, typer.Option(help="Only what was set aside of this association (a ULID).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be put back.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until everything is registered or set aside again, and report.")
    ] = False,
    at_most: Annotated[str, typer.Option(help="Maximum wait: 90s, 15min, 2h.")] = "5min",
    as_json: _Json = False,
) -> None:
    """Put back what was set aside, to be stored and registered again. Works with or without a running gateway.

    Exit status 0: nothing is left set aside, and with --wait all is registered; 1: something is left, was set aside
    again, or is not finished yet; the reason is printed.
    """
    from oxidicom.operations.retry import Retry, run_retry  # noqa: PLC0415 (serving does without it)

    wait_seconds = _seconds(at_most, "'--at-most'") if wait else 0.0
    wanted = Retry(_ulid(association), dry_run, wait_seconds, as_json)
    _operate(lambda settings: run_retry(settings.files_root, wanted, _console()))


@_app.command()
def discard(
    association: Annotated[str | None, typer.Option(help="What was set aside of this association (a ULID).")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that was set aside.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be thrown away.")] = False,
    as_json: _Json = False,
) -> None:
    """Throw away what was set aside and cannot be fixed. Its JSON files stay and say what it was, why, and when.

    Touches nothing but the directory of what was set aside; works with or without a running gateway. Prints no patient
    data. Exit status 0: nothing of it is left set aside; 1: something is.
    """
    from oxidicom.operations.discard import Discard, run_discard  # noqa: PLC0415 (serving does without it)

    if everything == (association is not None):
        raise typer.BadParameter("give either --association ULID or --all")
    wanted = Discard(_ulid(association), yes, dry_run, as_json)
    _operate(lambda settings: run_discard(settings.files_root, wanted, _console()))


@_app.command()
def reconcile(
    register: Annotated[
        bool, typer.Option("--register", help="Register files without a row, described from the files themselves.")
    ] = False,
    since: Annotated[
        datetime.datetime | None,
        typer.Option(
            help="With --register: only files received since then, in local time, without asking. Any day up to 1970 "
            "means all files."
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Compare the files below SERVICES/PACS with the database. Never deletes anything; works with or without a gateway.

    In CUBE 6 and 7 people delete series. Where CUBE may not remove the files, these have no row on purpose. So before
    it registers anything, the command asks whether they are to come back, unless --since says which.

    Exit status 0: nothing differs, or nothing does any more; 1: something differs. The output has
    paths, which contain patient data.
    """
    from oxidicom.operations.consent import Wish, seconds_of  # noqa: PLC0415 (serving does without it)
    from oxidicom.operations.reconcile import run_reconcile  # noqa: PLC0415

    try:
        wish = Wish(register, None if since is None else seconds_of(since))
    except ValueError as error:
        raise typer.BadParameter(f"{since} is not a usable date: {error}", param_hint="'--since'") from error
    _operate(lambda settings: run_reconcile(settings, wish, as_json, _console()))


@_app.command()
def log(  # noqa: PLR0913, PLR0917 (each is an option)
    aet: Annotated[str, typer.Option(callback=_require_text, help="Only associations of this calling AE title.")] = "",
    since: Annotated[
        str, typer.Option(help="Only what ended after this time: 2026-01-31, '2026-01-31 14:05', or 90min, 2h, 3d ago.")
    ] = "",
    until: Annotated[str, typer.Option(help="Only what began before this time; a date includes its whole day.")] = "",
    study: Annotated[
        str, typer.Option(callback=_require_text, help="Only what brought instances of this Study Instance UID.")
    ] = "",
    series: Annotated[str, typer.Option(callback=_require_text, help="The same for a Series Instance UID.")] = "",
    refused: Annotated[
        bool, typer.Option("--refused", help="Only rejected associations and those with refused instances, and why.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the last N.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new ones; Ctrl-C ends it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show what associations brought, newest last: where from, what was refused, and whether series are complete.

    Only reads; works with or without a running gateway. Times are local. Exit status 0, or 1 if there is no history.
    """
    from oxidicom.history.reader import Wanted  # noqa: PLC0415 (serving does without it)
    from oxidicom.operations.log import run_log  # noqa: PLC0415
    from oxidicom.operations.moments import moment  # noqa: PLC0415

    try:
        wanted = Wanted(moment(since), moment(until, is_end=True), aet, study, series, refused)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    _operate(lambda settings: run_log(settings, wanted, limit=limit, following=follow, as_json=as_json))


@_app.command()
def top(
    url: Annotated[
        str,
        typer.Option(
            callback=_require_text,
            help="Address of the gateway's page; by default from CHRIS_HTTP_ADDRESS and CHRIS_HTTP_PORT.",
        ),
    ] = "",
    interval: Annotated[str, typer.Option(help="Time between two frames: 1s, 5s, 1min.")] = "1s",
    once: Annotated[
        bool, typer.Option("--once", help="Print one frame and end; the default without a terminal.")
    ] = False,
) -> None:
    """Watch a running gateway: what is wrong, what is under way, what waits, what came. q or Ctrl-C ends it.

    Only reads, from /status.json at CHRIS_HTTP_PORT. Exit status 0; with one frame, the exit status of `status`; 1 if
    the gateway does not answer.
    """
    from oxidicom.operations.top import run_top  # noqa: PLC0415 (serving does without it)

    seconds = max(0.1, _seconds(interval, "'--interval'"))
    _operate(lambda settings: run_top(settings, url, seconds, once, _console()))


def _console() -> Console:
    """Return where a command prints. What goes through a pipe is not cut or folded at the width of a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_A_PIPE)


def _seconds(text: str, option: str) -> float:
    try:
        return seconds_in(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _ulid(association: str | None) -> str | None:
    if association is not None and not is_ulid(association):
        raise typer.BadParameter(
            "an association is called by a ULID, as `oxidicom status` lists them", param_hint="'--association'"
        )
    return association


def _operate(operation: Callable[[Settings], int]) -> NoReturn:
    """Run a command of the operator. What keeps it from its work is one line."""
    settings = _settings()
    try:
        raise typer.Exit(operation(settings))
    except DatabaseUnavailableError as error:
        reason = f"the database cannot be used: {error}"
    except OxidicomError as error:
        reason = str(error)
    except BrokenPipeError:
        raise  # whoever reads what is printed has seen enough: typer ends quietly
    except OSError as error:
        reason = _what_fails(error, settings.files_root)
    print(f"oxidicom: {printable(reason)}", file=sys.stderr)
    raise typer.Exit(1)


def _what_fails(error: OSError, files_root: str) -> str:
    """Return what cannot be used, and why. An error of a file that is open already does not say which it is of."""
    if error.filename:
        return f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}"
    return f"{files_root}, or where the output goes, cannot be used: {error.strerror}"


def _become(name: str) -> None:
    try:
        account = become(name)
    except OperationError as error:
        print(f"oxidicom: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    os.environ.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)


def _settings() -> Settings:
    settings, faults = examine_here(os.environ)
    if faults:
        _refuse([fault.sentence for fault in faults])
    return settings


def _refuse(faults: Sequence[str]) -> NoReturn:
    print("oxidicom: the configuration has errors.", file=sys.stderr)
    for fault in faults:
        print(f"  - {printable(fault)}", file=sys.stderr)
    print("`oxidicom settings` lists all settings; docs/settings.md describes them.", file=sys.stderr)
    raise typer.Exit(EX_CONFIG)
