"""Connection strings as they may be shown: where the database is, what is wrong with them, and never a secret."""

import difflib
import re

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from oxidicom.settings import EMBEDDED

_SCHEMES = ("postgresql", "postgres")


def display(conninfo: str) -> str:
    """Return user, host, port and name of the database, and nothing else that the connection string holds.

    What it leaves to libpq's own variables and defaults is left out.
    """
    if conninfo == EMBEDDED:
        return "the embedded PostgreSQL"
    try:
        parameters = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return "not a libpq connection string or URL"
    if _has_loose_password(conninfo):
        return "a URL whose password is not percent-encoded"
    user, host = parameters.get("user"), parameters.get("host") or parameters.get("hostaddr")
    port, name = parameters.get("port"), parameters.get("dbname")
    location = f"{f'{user}@' if user else ''}{host or ''}{f':{port}' if port else ''}"
    return f"postgresql://{location}/{name or ''}"


def conninfo_fault(conninfo: str) -> str | None:
    """Return why libpq cannot parse a connection string. What stands in it is not shown: it may be a password."""
    try:
        Conninfo.parse(conninfo.encode())
    except (psycopg.Error, UnicodeError) as error:
        return f"{_reason_of(str(error))}; libpq takes postgresql://user@host:port/database, or host=… user=… dbname=…"
    if _has_loose_password(conninfo):
        return (
            "it looks as if its password is not percent-encoded, or its port is not a number: in a URL write %40 "
            "for @, %2F for /, %3A for :, %3F for ?, %23 for #, %25 for %"
        )
    return None


def without_secrets(conninfo: str) -> str:
    """Return a connection string with stars in the place of its secrets."""
    if conninfo == EMBEDDED:
        return conninfo
    hidden = "(not shown: it may hold a password)"
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return hidden
    if _has_loose_password(conninfo):
        return hidden
    secret = {option.keyword.decode() for option in Conninfo.get_defaults() if option.dispchar}
    return make_conninfo("", **{name: "***" if name in secret else value for name, value in given.items()})


def _has_loose_password(conninfo: str) -> bool:
    """Tell whether what libpq takes for host, port or name of the database may be a part of a password.

    In a URL a password with an `@` or a `/` that is not percent-encoded ends there. Raise psycopg.Error.
    """
    scheme, _, rest = conninfo.partition("://")
    if scheme in _SCHEMES and (rest.count("@") > 1 or ("/" in rest.partition("@")[0] and "@" in rest)):
        return True
    given = conninfo_to_dict(conninfo)
    ports = str(given.get("port") or "").split(",")
    return any("@" in str(given.get(name) or "") for name in ("host", "hostaddr", "dbname")) or not all(
        re.fullmatch(r"\d*", port.strip(), re.ASCII) for port in ports
    )


def _reason_of(message: str) -> str:
    """Say what libpq says without the part of the connection string that it quotes."""
    if option := re.match(r'invalid (?:connection option|URI query parameter:) "(.*)"', message):
        known = [one.keyword.decode() for one in Conninfo.get_defaults()]
        closest = difflib.get_close_matches(option[1], known, 1)
        return "it has an option that libpq does not know" + (f"; did you mean `{closest[0]}`?" if closest else "")
    reasons = {
        'missing "="': "a part of it has no `=`",
        "unexpected spaces": "a URL cannot contain blanks: write %20",
        "unterminated quoted string": "a quote in it is not closed",
        "invalid percent-encoded": "a `%` in it is not followed by two hexadecimal digits: write %25",
    }
    return next((reason for start, reason in reasons.items() if message.startswith(start)), "it cannot be parsed")
