"""Connection strings as they may be shown: where the database is, what is wrong with them, and never a secret."""

import difflib
import re

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from oxidicom.settings import EMBEDDED


def display(conninfo: str) -> str:
    """Return user, host, port and name of the database, and nothing else that the connection string holds.

    What it leaves to libpq's own variables and defaults is left out.
    """
    if conninfo == EMBEDDED:
        return "the embedded PostgreSQL"
    try:
        parameters = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return "no libpq connection string or URL"
    user, host = parameters.get("user"), parameters.get("host") or parameters.get("hostaddr")
    port, name = parameters.get("port"), parameters.get("dbname")
    location = f"{f'{user}@' if user else ''}{host or ''}{f':{port}' if port else ''}"
    return f"postgresql://{location}/{name or ''}"


def conninfo_fault(conninfo: str) -> str | None:
    """Return why libpq cannot parse a connection string. What stands in it is not shown: it may be a password."""
    try:
        Conninfo.parse(conninfo.encode())
    except (psycopg.Error, UnicodeError) as error:
        return f"{_reason_of(str(error))}; libpq wants postgresql://user@host:port/database, or host=… user=… dbname=…"
    return None


def without_secrets(conninfo: str) -> str:
    """Return a connection string with stars in the place of its secrets."""
    if conninfo == EMBEDDED:
        return conninfo
    hidden = "(not shown: it may hold a password)"
    if "://" in conninfo and conninfo.count("@") > 1:
        return hidden  # a password with an `@` in it that is not percent-encoded: libpq takes a part of it for a host
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return hidden
    secret = {option.keyword.decode() for option in Conninfo.get_defaults() if option.dispchar}
    return make_conninfo("", **{name: "***" if name in secret else value for name, value in given.items()})


def _reason_of(message: str) -> str:
    """Say what libpq says without the part of the connection string that it quotes."""
    if option := re.match(r'invalid (?:connection option|URI query parameter:) "(.*)"', message):
        known = [one.keyword.decode() for one in Conninfo.get_defaults()]
        closest = difflib.get_close_matches(option[1], known, 1)
        return "it has an option that is none of libpq" + (f"; did you mean `{closest[0]}`?" if closest else "")
    reasons = {
        'missing "="': "something in it has no `=`",
        "unexpected spaces": "a URL has no blanks: write %20",
        "unterminated quoted string": "a quote in it is not closed",
        "invalid percent-encoded": "a `%` in it begins no two hexadecimal digits: write %25",
    }
    return next((reason for start, reason in reasons.items() if message.startswith(start)), "it cannot be parsed")
