"""What a gateway says once it is ready: a line of the log, or to a person how to use it."""

import sys

from loguru import logger

from oxidicom import __version__
from oxidicom.cube.conninfo import display
from oxidicom.embedded.server import EmbeddedPostgres
from oxidicom.judgement.judgement import Judgement, Level
from oxidicom.logs import writes_text
from oxidicom.settings import Settings, page_address
from oxidicom.wording import counted


def announce(settings: Settings, database: EmbeddedPostgres | None, judgement: Judgement) -> None:
    """Say once that the gateway is ready and what is wrong all the same, and to a person also how to use it."""
    if writes_text(settings.log_format):
        print("\n".join(_lines(settings, database, judgement)), file=sys.stderr)
    else:
        is_good = judgement.level is Level.OK
        logger.log(
            "INFO" if is_good else "WARNING",
            "Ready" if is_good else "Ready to receive, but not all is well: {judgement}",
            judgement=str(judgement),
            port=settings.port,
            ae_title=settings.ae_title,
            files_root=settings.files_root,
            listeners=settings.listeners,
            tls=bool(settings.tls_certificate),
            database=display(settings.db_connection),
            page=_page(settings, judgement),
            action="ready",
        )


def _lines(settings: Settings, database: EmbeddedPostgres | None, judgement: Judgement) -> list[str]:
    tls = bool(settings.tls_certificate)
    lines = [
        f"oxidicom {__version__} is ready{'.' if judgement.level is Level.OK else ' to receive, but not all is well:'}",
        *(f"  {reason.level.upper()}  {reason.subject}: {reason}" for reason in judgement.reasons),
        f"  listens on  port {settings.port} ({settings.bind_address}{', TLS' if tls else ''}), "
        f"AE title {settings.ae_title}, {counted(settings.listeners, 'association')} at a time",
        f"  files       {settings.files_root}/SERVICES/PACS",
        f"  database    {display(settings.db_connection)}",
    ]
    if page := _page(settings, judgement):
        lines.append(f"  page        {page}")
    if database:
        lines += ["  look into it:", f"    {database.psql_command}"]
    lines += [
        "  send it a file:",
        f"    storescu{' +tla -ic' if tls else ''} -aet TEST -aec {settings.ae_title} 127.0.0.1 "
        f"{settings.port} image.dcm",
        "  stop it with Ctrl-C.",
    ]
    return lines


def _page(settings: Settings, judgement: Judgement) -> str:
    """Return where the page is; empty when there is none: at that address may be one of another gateway."""
    has_trouble = any(reason.subject == "page" for reason in judgement.reasons)
    return page_address(settings) if settings.http_port and not has_trouble else ""
